/** How far position is behind since in one epoch; NaN in different ones, or where either is "" (PROTOCOL.md, clauses 1.6 and 4.3). */
export function distance(since: string, position: string): number {
  const [epoch, from] = since.split(":");
  const [other, to] = position.split(":");
  return epoch === other ? Number(to) - Number(from) : NaN;
}
