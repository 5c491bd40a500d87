// Numbers of things, for people.

/** `1 blob`, `3 blobs`. @param noun whose plural has an s */
export function countText(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
