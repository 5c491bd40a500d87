// Numbers of things, for people.

/** `1 blob`, `3 blobs`. */
export function countText(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
