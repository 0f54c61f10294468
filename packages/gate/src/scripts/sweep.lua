-- include: opening node tree run admit
-- Promise: reservations past their time are back at the head of their class, due runs are parked, tags of nodes that hold slots are at
-- most a second old, free slots are given, and idle nodes whose tag is not ahead are forgotten. Each bounded per call; a tick repeats it.
-- ARGV[3]: {}
-- Reply: see admit_and_reply; the result is [expired, promoted].
if not warm then return { 'cold' } end
local late = redis.call('ZRANGEBYSCORE', data .. 'res', '-inf', now_ms, 'LIMIT', 0, SWEEP_MAX)
for _, id in ipairs(late) do send_back(run_of(id)) end
local promoted = promote()

for _, id in ipairs(redis.call('ZRANGEBYSCORE', data .. 'busy', '-inf', now_ms - 1000, 'LIMIT', 0, SWEEP_MAX)) do
  local node = known(id)
  if node and now_us - node.at >= 1000000 then
    accrue(node)
    ripple(node)
  end
  redis.call('ZADD', data .. 'busy', 'XX', math.floor((node and node.at or now_us) / 1000), id)
end

local reply = admit_and_reply({ #late, promoted })

local left = IDLE_MAX
for _, parent in ipairs(redis.call('ZRANGE', data .. 'idle', 0, 63)) do
  local key = data .. 'i:' .. parent
  local least = least_living(parent)
  local ids = left > 0 and redis.call('ZRANGEBYSCORE', key, '-inf', least and plain(least) or '+inf', 'LIMIT', 0, left) or {}
  for _, id in ipairs(ids) do
    redis.call('DEL', data .. 'n:' .. id)
    redis.call('ZREM', key, id)
  end
  left = left - #ids
  if redis.call('ZCARD', key) == 0 then redis.call('ZREM', data .. 'idle', parent)
  elseif left > 0 then redis.call('ZADD', data .. 'idle', now_ms, parent) end
end
return reply
