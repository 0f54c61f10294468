-- include: opening record
-- Promise: what the gate knows of each run, in the order asked. Changes nothing.
-- ARGV[3]: {runs: [run]}
-- Reply: 'warm', [state, admission, node, ...]; '' where there is none, state '' for an unknown run
if not warm then return { 'cold' } end
local found = {}
read_runs(ask.runs)
for _, id in ipairs(ask.runs) do
  local run = run_of(id) or {}
  for _, value in ipairs({ run.s or '', run.a or '', run.n or '' }) do found[#found + 1] = value end
end
return { 'warm', found }
