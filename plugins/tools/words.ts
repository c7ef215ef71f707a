import MiniSearch from 'minisearch';

const split = MiniSearch.getDefault('tokenize') as (text: string) => string[];
const unspaced = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]/u;

/** The words of a text. Writing that puts no space between words is taken in overlapping pairs of characters. */
export function words(text: string): string[] {
  const found = split(text);
  return unspaced.test(text) ? found.flatMap((word) => (unspaced.test(word) ? pairs(word) : word)) : found;
}

function pairs(run: string): string[] {
  const characters = [...run];
  if (characters.length < 2) return [run];
  return characters.slice(1).map((character, index) => `${characters[index]}${character}`);
}

// In nearly every passage, so they tell none apart, yet each costs a visit to all of them.
const common = new Set(
  (
    'a about all also an and any are as at be been but by can could do does for from had has have how i if in into is it its ' +
    'me more my no not of on one or our should so than that the their them then there these they this to was we were what ' +
    'when where which who why will with would you your'
  ).split(' '),
);

export function isCommonWord(word: string): boolean {
  return common.has(word.toLowerCase());
}
