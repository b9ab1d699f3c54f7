// Builds objects, keeps them in a map: growth under a generational collector.   objects.js COUNT PER_TURN PAUSE_MS
const [count, perTurn, pause] = process.argv.slice(2).map(Number);
const kept = new Map();
function turn() {
  for (let i = 0; i < perTurn && kept.size < count; i++)
    kept.set(kept.size, { id: kept.size, tags: [`t${kept.size % 97}`, 'b'.repeat(20)], at: kept.size * 1.5 });
  if (kept.size < count) setTimeout(turn, pause);
  else console.log([...kept.values()].reduce((sum, object) => sum + object.tags.length, 0));
}
turn();
