/**
 * URIs of the A2A protocol extensions that agents of Hector know. A caller asks for them by `A2A-Extensions`; what was asked
 * for is in `AgentContext.extensions`.
 */

/** The agent tells of its tool calls, in statuses of the working task. */
export const toolCallsExtension = 'urn:hector:a2a:tool-calls:1';
