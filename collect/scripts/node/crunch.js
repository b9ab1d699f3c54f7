// A busy loop over a typed array.   crunch.js ROUNDS
const rounds = Number(process.argv[2]);
const field = new Float64Array(1 << 16).map((_, i) => i);
for (let round = 0; round < rounds; round++)
  for (let i = 1; i < field.length - 1; i++) field[i] = (field[i - 1] + field[i] * 2 + field[i + 1]) / 4;
console.log(field[100].toFixed(6));
