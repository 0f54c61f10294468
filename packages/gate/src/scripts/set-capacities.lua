-- include: opening record node path writes tree flush run choice bullmq jobs admit
-- Promise: each pool has exactly this capacity, a pool that is not named none; then free slots are given. Slots in use stay.
-- ARGV[3]: {capacities: {pool: slots}}
-- Reply: see admit_and_reply; the result is empty.
if not warm then return { 'cold' } end
for _, pool in ipairs(POOLS) do set_pool(CAPACITY, pool, ask.capacities[pool] or 0) end
return admit_and_reply({})
