-- include: opening
-- Promise: what the gate knows of each run, in the order asked. Changes nothing.
-- ARGV[3]: {runs: [run]}
-- Reply: 'warm', [state, admission, node, ...]; '' where there is none, state '' for an unknown run
if not warm then return { 'cold' } end
local found = {}
for _, id in ipairs(ask.runs) do
  local v = redis.call('HMGET', data .. 'r:' .. id, 's', 'a', 'n')
  for k = 1, 3 do found[#found + 1] = v[k] or '' end
end
return { 'warm', found }
