// Buffers outside the heap, in waves.   buffers.js WAVES MIB HOLD_MS LEAK_MIB
const [waves, mib, hold, leak] = process.argv.slice(2).map(Number);
const leaked = [];
let wave = 0;
function next() {
  let buffers = [];
  for (let i = 0; i < mib; i++) buffers.push(Buffer.alloc(1 << 20, i % 251));
  leaked.push(...buffers.slice(0, leak));
  buffers = null;
  if (global.gc) global.gc();
  if (++wave < waves) setTimeout(next, hold);
  else console.log(leaked.length);
}
next();
