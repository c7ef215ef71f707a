import type { CallToolResult, ContentBlock } from '@modelcontextprotocol/server';
import { interruptedStates, type Part, type Task } from '../../core/a2a.ts';
import { isJsonOf } from '../same-json.ts';

/** A call that came to nothing, in words for the model. */
export function failedCall(text: string): CallToolResult {
  return { content: [{ type: 'text', text }], isError: true };
}

/** What the model is told of a task that has ended or waits for an answer. */
export function resultOf(task: Task): CallToolResult {
  const { id, contextId, status, artifacts } = task;
  const state = status.state.slice('TASK_STATE_'.length).toLowerCase();
  const said = status.message?.parts ?? [];
  const structured = { state, task_id: id, context_id: contextId };
  switch (status.state) {
    case 'TASK_STATE_FAILED':
    case 'TASK_STATE_REJECTED':
    case 'TASK_STATE_CANCELED': {
      const reason = textOf(said) || `The task ended as ${state} without a reason.`;
      return { ...failedCall(reason), structuredContent: { answer: reason, ...structured } };
    }
    default: {
      const content = contentOf(
        [...artifacts.map(({ parts }) => parts), ...(interruptedStates.has(status.state) ? [said] : [])],
        id,
      );
      const answer = content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('\n\n');
      return { content, structuredContent: { answer, ...structured } };
    }
  }
}

/** The text of one artifact is one block; files are blocks of their own. */
function contentOf(artifacts: readonly (readonly Part[])[], taskId: string): ContentBlock[] {
  const blocks: ContentBlock[] = [];
  for (const parts of artifacts) {
    let text: string | undefined;
    const close = () => {
      if (text !== undefined && text !== '') blocks.push({ type: 'text', text });
      text = undefined;
    };
    for (const part of parts) {
      if ('text' in part) {
        text = (text ?? '') + part.text;
      } else {
        close();
        if ('data' in part && blocks.some((block) => block.type === 'text' && isJsonOf(block.text, part.data)))
          continue;
        blocks.push(blockOf(part, `hector:${taskId}/${blocks.length}`));
      }
    }
    close();
  }
  return blocks;
}

function blockOf(part: Exclude<Part, { readonly text: string }>, uri: string): ContentBlock {
  const { mediaType: mimeType = 'application/octet-stream', filename } = part;
  if ('url' in part) {
    return { type: 'resource_link', uri: part.url, name: filename ?? nameOf(part.url), mimeType };
  }
  if ('raw' in part) {
    // The one form of base64 that clients check for.
    const data = Buffer.from(part.raw, 'base64').toString('base64');
    if (mimeType.startsWith('image/')) return { type: 'image', data, mimeType };
    if (mimeType.startsWith('audio/')) return { type: 'audio', data, mimeType };
    const named = filename === undefined ? uri : `${uri}/${encodeURIComponent(filename)}`;
    return { type: 'resource', resource: { uri: named, mimeType, blob: data } };
  }
  return { type: 'text', text: JSON.stringify('data' in part ? part.data : null) ?? 'null' };
}

function nameOf(url: string): string {
  return url.split(/[?#]/, 1)[0]?.split('/').filter(Boolean).at(-1) ?? url;
}

function textOf(parts: readonly Part[]): string {
  return parts.flatMap((part) => ('text' in part ? [part.text] : [])).join('\n');
}
