-- include: opening
-- Promise: the numbers of every pool. Changes nothing.
-- ARGV[3]: {}
-- Reply: 'warm', [pool, queued, due, used, capacity, ...]
if not warm then return { 'cold' } end
local found = {}
for _, pool in ipairs(POOLS) do
  found[#found + 1] = pool
  for _, what in ipairs({ QUEUED, DUE, USED, CAPACITY }) do found[#found + 1] = plain(pool_number(what, pool)) end
end
return { 'warm', found }
