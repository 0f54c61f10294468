-- What happens to one run: the only places where it and its slot change. Needs tree.lua.

local function pack_run(run)
  return cmsgpack.pack({ run.s, run.c, run.z or false, run.q or false, run.nb or false, run.a or false, run.n or false, run.t or false })
end
local function put(run) redis.call('SET', data .. 'r:' .. run.id, pack_run(run)) end

local function add_due(class, by)
  class.d = math.max(0, class.d + by)
  class.touched = true
  add_pool('due', class.pool, by)
end

-- A run that the gate knows in any state is left as it is.
local function offer(o)
  local due = tonumber(o.due)
  local run = { id = o.run, s = due <= now_ms and 'parked' or 'due', c = o.class, z = o.z, q = o.queued, nb = due > now_ms and o.due }
  if not redis.call('SET', data .. 'r:' .. o.run, pack_run(run), 'NX') then return end
  local class = class_at(o)
  if run.nb then
    redis.call('ZADD', data .. 'due', o.due, o.run)
    add_due(class, 1)
  else
    redis.call('ZADD', data .. 'b:' .. class.id, o.z, o.run)
    shift(class, 0, 1)
  end
end

-- Puts a run, new in its class or on its way back, where its score says: a run that was reserved is its head again.
local function park(run, used)
  run.s, run.a, run.n, run.t, run.nb = 'parked', nil, nil, nil, nil
  put(run)
  redis.call('ZADD', data .. 'b:' .. run.c, run.z, run.id)
  shift(known(run.c), used, 1)
end

-- Parks runs whose time has come, a bounded number.
local function promote()
  local ids = redis.call('ZRANGEBYSCORE', data .. 'due', '-inf', now_ms, 'LIMIT', 0, PROMOTE_MAX)
  for _, id in ipairs(ids) do
    local run = run_of(id)
    redis.call('ZREM', data .. 'due', id)
    add_due(known(run.c), -1)
    park(run, 0)
  end
  return #ids
end

local function reserve(id, class)
  counter = counter + 1
  local run = run_of(id)
  run.s, run.a, run.t = 'reserved', plain(epoch * 4294967296 + counter), now_ms
  put(run)
  redis.call('ZADD', data .. 'slots', run.a, id)
  redis.call('ZADD', data .. 'res', now_ms + RESERVED_MS, id)
  shift(class, 1, -1)
  return run.a
end

local function take_slot(run)
  redis.call('ZREM', data .. 'slots', run.id)
  if run.s == 'reserved' then redis.call('ZREM', data .. 'res', run.id) end
end

local function send_back(run)
  take_slot(run)
  park(run, -1)
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
  put({ id = h.run, s = 'started', c = h.class, a = h.admission, n = h.node, t = now_ms })
  redis.call('ZADD', data .. 'slots', h.admission, h.run)
  shift(class, 1, 0)
end
