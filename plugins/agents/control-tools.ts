/** The tools that a `loop` gives its agents. An llm agent takes them where its options say so. */
export const exitLoop = 'exit_loop';
export const escalate = 'escalate';

/** How the names of tools begin that hand a conversation over to another agent, or back. */
export const transferPrefix = 'transfer_to_';
