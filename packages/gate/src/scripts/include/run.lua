-- What happens to one run: the only places where its hash and its slot change. Needs tree.lua.

local function run_of(id)
  local v = redis.call('HMGET', data .. 'r:' .. id, 's', 'c', 'z', 'a', 'n')
  if not v[1] then return nil end
  return { id = id, s = v[1], c = v[2], z = v[3] or nil, a = v[4] or nil, n = v[5] or nil }
end

local function park(id, class, z)
  redis.call('HSET', data .. 'r:' .. id, 's', 'parked')
  redis.call('ZADD', data .. 'b:' .. class.id, z, id)
  shift(class, 0, 1)
end

local function add_due(class, by)
  class.d = math.max(0, class.d + by)
  class.touched = true
  add_pool('due', class.pool, by)
end

-- A run that the gate knows in any state is left as it is.
local function offer(o)
  if redis.call('EXISTS', data .. 'r:' .. o.run) == 1 then return end
  local class = class_at(o)
  redis.call('HSET', data .. 'r:' .. o.run, 'c', o.class, 'z', o.z, 'q', o.queued)
  if tonumber(o.due) <= now_ms then
    park(o.run, class, o.z)
  else
    redis.call('HSET', data .. 'r:' .. o.run, 's', 'due', 'nb', o.due)
    redis.call('ZADD', data .. 'due', o.due, o.run)
    add_due(class, 1)
  end
end

-- Parks runs whose time has come, a bounded number.
local function promote()
  local ids = redis.call('ZRANGEBYSCORE', data .. 'due', '-inf', now_ms, 'LIMIT', 0, PROMOTE_MAX)
  for _, id in ipairs(ids) do
    local run = run_of(id)
    redis.call('ZREM', data .. 'due', id)
    redis.call('HDEL', data .. 'r:' .. id, 'nb')
    add_due(known(run.c), -1)
    park(id, known(run.c), run.z)
  end
  return #ids
end

local function reserve(id, class)
  counter = counter + 1
  local admission = plain(epoch * 4294967296 + counter)
  redis.call('HSET', data .. 'r:' .. id, 's', 'reserved', 'a', admission, 't', plain(now_ms))
  redis.call('ZADD', data .. 'slots', admission, id)
  redis.call('ZADD', data .. 'res', plain(now_ms + RESERVED_MS), id)
  shift(class, 1, -1)
  return admission
end

local function take_slot(run)
  redis.call('ZREM', data .. 'slots', run.id)
  if run.s == 'reserved' then redis.call('ZREM', data .. 'res', run.id) end
end

-- A reserved run back to where it stood in its class: its head.
local function send_back(run)
  take_slot(run)
  redis.call('HDEL', data .. 'r:' .. run.id, 'a', 't')
  redis.call('HSET', data .. 'r:' .. run.id, 's', 'parked')
  redis.call('ZADD', data .. 'b:' .. run.c, run.z, run.id)
  shift(known(run.c), -1, 1)
end

-- Removes a run in any state, and its slot.
local function forget(run)
  local class = known(run.c)
  redis.call('DEL', data .. 'r:' .. run.id)
  if run.s == 'parked' then
    redis.call('ZREM', data .. 'b:' .. run.c, run.id)
    shift(class, 0, -1)
  elseif run.s == 'due' then
    redis.call('ZREM', data .. 'due', run.id)
    add_due(class, -1)
  else
    take_slot(run)
    shift(class, -1, 0)
  end
end

-- A started slot of an admission that Postgres holds, over any limit.
local function hold(h)
  local class = class_at(h)
  redis.call('HSET', data .. 'r:' .. h.run, 's', 'started', 'c', h.class, 'a', h.admission, 'n', h.node, 't', plain(now_ms))
  redis.call('ZADD', data .. 'slots', h.admission, h.run)
  shift(class, 1, 0)
end
