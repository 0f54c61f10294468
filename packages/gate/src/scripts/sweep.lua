-- include: opening record node path writes tree flush run choice bullmq jobs admit
-- Promise: reservations past their time are back at the head of their class without their jobs, due runs are parked, tags of nodes that hold slots are
-- brought up to date each second, free slots are given, and idle nodes that are ahead in no pool are forgotten. Each bounded per call; a tick repeats it.
-- ARGV[3]: {}
-- Reply: see admit_and_reply; the result is [promoted, overdue, expired], the first two as `next` answers them.
if not warm then return { 'cold' } end
local function reserved_until(from, till) return redis.call('ZRANGEBYSCORE', data .. 'res', from, till, 'LIMIT', 0, SWEEP_MAX) end
local late = reserved_until('-inf', now_ms)
-- one that would last for so long is of a clock that was set back since
if #late == 0 then late = reserved_until('(' .. plain(now_ms + 2 * RESERVED_MS), '+inf') end
read_all(late)
for _, id in ipairs(late) do
  drop_job(run_of(id))
  send_back(run_of(id))
end
promote()

-- Once a second a pass over all slots begins; each call takes the next SWEEP_MAX of them.
local pass = redis.call('HMGET', data .. 'pass', 'began', 'after')
local after = pass[2] or ''
if after == '' and math.abs(now_ms - tonumber(pass[1] or '0')) >= 1000 then
  after = '-inf'
  redis.call('HSET', data .. 'pass', 'began', now_ms)
end
if after ~= '' then
  local last = ''
  write_sorted(data .. 'slots')
  local slots = redis.call('ZRANGEBYSCORE', data .. 'slots', '(' .. after, '+inf', 'LIMIT', 0, SWEEP_MAX)
  read_all(slots)
  for _, id in ipairs(slots) do
    local run = run_of(id)
    last = run.a
    for _, node in ipairs(path_of(known(run.c))) do
      if node.at ~= now_us then accrue(node) end
    end
  end
  redis.call('HSET', data .. 'pass', 'after', #slots == SWEEP_MAX and last or '')
end

local found = {}
local reply = admit_and_reply(found)
found[1], found[2], found[3] = promoted, overdue, #late

local left = IDLE_MAX
for _, place in ipairs(redis.call('ZRANGE', data .. 'idle', 0, 63)) do
  local key = data .. 'i:' .. place
  local pool, parent = string.match(place, '^([^:]+):(.*)$')
  local i = number_of[pool]
  local least = least_living(i, parent)
  local ids = left > 0 and redis.call('ZRANGEBYSCORE', key, '-inf', least and plain(least) or '+inf', 'LIMIT', 0, left) or {}
  send('ZREM', key, ids)
  read_nodes(ids)
  for _, id in ipairs(ids) do
    local ahead = ahead_in(nodes[id], i)
    if ahead then remember(nodes[id], ahead) else hdel('n', id) end
  end
  write_all()
  left = left - #ids
  if redis.call('ZCARD', key) == 0 then redis.call('ZREM', data .. 'idle', place)
  elseif left > 0 then redis.call('ZADD', data .. 'idle', now_ms, place) end
end
return reply
