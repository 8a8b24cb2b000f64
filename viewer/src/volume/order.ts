// In which order slices are fetched: the one looked at first, then its neighbours outwards.

/** Every index 0 … count − 1, nearest to `centre` first, the following one before the preceding. */
export function outwards(count: number, centre: number): number[] {
  const start = Math.min(Math.max(Math.round(centre), 0), Math.max(count - 1, 0));
  const order: number[] = [];
  for (let away = 0; order.length < count; away++) {
    if (start + away < count) order.push(start + away);
    if (away > 0 && start - away >= 0) order.push(start - away);
  }
  return order;
}
