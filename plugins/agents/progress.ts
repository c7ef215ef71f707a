import {
  type AgentContext,
  type ChatMessage,
  type Checkpoint,
  type CheckpointMoment,
  type Handover,
  HectorError,
  messageFromJson,
  messageToJson,
  type Session,
} from '../../core/index.ts';

/** What an agent has added to its conversation, as JSON. */
interface Append {
  readonly agent: string;
  readonly messages: readonly string[];
}

/** What a part has saved, by its place within it, and what its whole had heard from it then. */
interface SavedPart {
  readonly heard: unknown;
  readonly places: Readonly<Record<string, unknown>>;
}

interface Saved<State> {
  readonly kind: string;
  readonly version: number;
  readonly state: State;
  readonly parts: Readonly<Record<string, SavedPart>>;
  readonly appends: readonly Append[];
}

/** A part of the work that saves for itself: mostly another agent's work for this one. */
export interface Part {
  /**
   * `heard` is asked whenever the part saves something, and kept with that: what the whole has heard from it so far.
   * Returns what it was when the part saved what it is continued from.
   */
  hear<Heard>(heard: () => Heard): Heard | undefined;
  /** The context that it works in. `continues`: it can go on from what it saves. */
  context(agent: string, given: Handover, continues: boolean): AgentContext;
  /** The same for a part that is the agent's own work, in a conversation that is not its own. */
  within(context: AgentContext): AgentContext;
  /** It has ended: what it came to goes into the state of the whole, and is saved with it next. */
  over(): void;
}

export interface ProgressOptions<State> {
  /** Of whom: the saved state of one kind of agent means nothing to another. */
  readonly kind: string;
  readonly version: number;
  /** Asked at every save, of parts too. What it gives must not change afterwards. */
  state(): State;
  /** Resolves when all that the parts have brought so far is part of the task. Absent: it always is. */
  flushed?(): Promise<void>;
}

/**
 * How far the run of an agent has come, with the agents that work for it. All of it is one state, so what a part has come to
 * is never known without its being over, or the other way round.
 *
 * What those agents add to their conversations is written when the task ends, and so is lost with a process: it is kept here
 * once they are over, and added again where the run is continued.
 */
export class Progress<State> {
  readonly restored: State | undefined;
  readonly #context: AgentContext;
  readonly #checkpoint: Checkpoint;
  readonly #options: ProgressOptions<State>;
  readonly #parts: Map<string, SavedPart>;
  readonly #appends: Append[];

  private constructor(context: AgentContext, checkpoint: Checkpoint, options: ProgressOptions<State>) {
    const saved = savedBy(checkpoint.restored, options, context.agent) as Saved<State> | undefined;
    this.#context = context;
    this.#checkpoint = checkpoint;
    this.#options = options;
    this.restored = saved?.state;
    this.#parts = new Map(Object.entries(saved?.parts ?? {}));
    this.#appends = [...(saved?.appends ?? [])];
  }

  /** `undefined` where nothing would continue the run. */
  static async open<State>(
    context: AgentContext,
    options: ProgressOptions<State>,
  ): Promise<Progress<State> | undefined> {
    if (!context.checkpoint) return undefined;
    const progress = new Progress(context, context.checkpoint, options);
    for (const { agent, messages } of progress.#appends)
      await context.forAgent(agent).session.append(messages.map(messageFromJson));
    return progress;
  }

  /** Resolves when it is in the database. */
  save(moment: CheckpointMoment): Promise<void> {
    const { kind, version, state } = this.#options;
    const saved: Saved<State> = {
      kind,
      version,
      state: state(),
      parts: Object.fromEntries(this.#parts),
      appends: [...this.#appends],
    };
    return this.#checkpoint.save(saved, moment);
  }

  part(key: string): Part {
    let hear: () => unknown = () => undefined;
    const restored = this.#parts.get(key);
    const places = new Map(Object.entries(restored?.places ?? {}));
    const appends: Append[] = [];
    const { flushed } = this.#options;
    let isOver = false;
    let earlier = Promise.resolve();
    const at = (place: string): Checkpoint => ({
      restored: restored?.places[place],
      save: async (state, moment) => {
        const heard = hear();
        if (flushed) {
          // What it counts as done has then brought what it brings; in the order of the saves.
          const ready = earlier.then(flushed);
          earlier = ready.catch(() => undefined);
          await ready;
        }
        if (isOver) return;
        places.set(place, state);
        this.#parts.set(key, { heard, places: Object.fromEntries(places) });
        await this.save(moment);
      },
      at: (inner) => at(`${place}/${inner.replace(/[~/]/g, (each) => (each === '~' ? '~0' : '~1'))}`),
    });
    return {
      hear: <Heard>(heard: () => Heard) => {
        hear = heard;
        return restored?.heard as Heard | undefined;
      },
      context: (agent, given, continues) =>
        noted(
          this.#context.forAgent(agent, continues ? { ...given, checkpoint: at('') } : given),
          given.session === undefined,
          (append) => appends.push(append),
        ),
      within: (context) => noted({ ...context, checkpoint: at('') }, false, (append) => appends.push(append)),
      over: () => {
        isOver = true;
        this.#parts.delete(key);
        this.#appends.push(...appends);
      },
    };
  }
}

/** A context that tells of everything that is added to conversations of agents, however many work for one another in it. */
function noted(context: AgentContext, own: boolean, note: (append: Append) => void): AgentContext {
  const { session } = context;
  const append = async (messages: readonly ChatMessage[]) => {
    await session.append(messages);
    note({ agent: context.agent, messages: messages.map(messageToJson) });
  };
  return {
    ...context,
    // A conversation that was handed over belongs to whoever did so.
    session: own ? { ...sessionReading(session), append } : session,
    forAgent: (name, given) => noted(context.forAgent(name, given), given?.session === undefined, note),
  };
}

function sessionReading(session: Session): Pick<Session, 'history' | 'recent'> {
  const history = () => session.history();
  if (!session.recent) return { history };
  return { history, recent: (limit, before) => (session as Required<Session>).recent(limit, before) };
}

function savedBy(restored: unknown, { kind, version }: ProgressOptions<unknown>, agent: string): unknown {
  if (restored === undefined) return undefined;
  const saved = restored as Partial<Saved<unknown>> | null;
  if (saved?.kind === kind && saved.version === version) return saved;
  throw new HectorError(
    'checkpoint_unreadable',
    `The work of the agent "${agent}" cannot be continued: its checkpoint is not one of an agent as it is now (${kind}, version ${version}). Send the message again.`,
  );
}
