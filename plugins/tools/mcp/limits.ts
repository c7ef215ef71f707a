/** The longest message that a server may send. A call's result is one message, images in base64 included. */
export const maxMessageBytes = 16 * 1024 ** 2;

/** How many tools of one server are offered, and how long all their definitions may be together. */
export const maxTools = 5_000;
export const maxDefinitions = 16 * 1024 ** 2;

/** The longest piece of what a server says that becomes part of a sentence of ours. */
const maxQuote = 300;

export function quoted(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > maxQuote ? `${line.slice(0, maxQuote)}…` : line;
}
