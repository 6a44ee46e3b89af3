/**
 * The first `length` characters of a text. It counts code points, since half of an emoji is a lone
 * surrogate, which Postgres cannot store.
 */
export function cutText(text: string, length: number): string {
  return [...text.slice(0, 2 * length)].slice(0, length).join("");
}
