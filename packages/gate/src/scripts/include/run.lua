-- What happens to one run: the only places where it and its slot change. Needs tree.lua and writes.lua.

local function put(run)
  runs[run.id] = run
  hset('r', run.id, struct.pack(RUN_PACKED, run.s, run.c, run.z, run.q, run.nb, run.a, run.n, run.t))
end

local function add_due(class, by)
  class.d = math.max(0, class.d + by)
  class.touched = true
  add_pool(DUE, class.pool, by)
end

local function offer(o, class)
  local due = tonumber(o.due) > now_ms
  put({ id = o.run, s = due and 'due' or 'parked', c = class.id, z = o.z, q = o.queued, nb = due and o.due or '', a = '', n = '', t = 0 })
  if due then
    zadd('due', o.due, o.run)
    add_due(class, 1)
  else
    zadd('b:' .. class.id, o.z, o.run)
  end
end

-- Each of these runs that is new is offered; one that the gate knows in any state is left as it is. The tree is read once for all of them,
-- and each class is shifted once, in the order of their first runs.
local function offer_all(offers, places)
  read_runs(pluck(offers, 'run'))
  local new, named, at = {}, {}, {}
  for _, o in ipairs(offers) do
    if not runs[o.run] then
      new[#new + 1] = o
      if not at[o.at] then
        at[o.at] = true
        named[#named + 1] = places[o.at]
      end
    end
  end
  read_places(named)
  local classes, parked = {}, {}
  for _, o in ipairs(new) do
    if not runs[o.run] then
      local class = class_at(places[o.at])
      offer(o, class)
      if runs[o.run].s == 'parked' then
        if not parked[class] then classes[#classes + 1] = class end
        parked[class] = (parked[class] or 0) + 1
      end
    end
  end
  for _, class in ipairs(classes) do shift(class, 0, parked[class]) end
end

-- Reads runs and the nodes above them.
local function read_all(ids)
  read_runs(ids)
  local classes = {}
  for _, id in ipairs(ids) do
    if runs[id] then classes[#classes + 1] = runs[id].c end
  end
  read_paths(classes)
end

-- Puts a run, new in its class or on its way back, where its score says: a run that was reserved is its head again.
local function park(run, used)
  run.s, run.a, run.n, run.t, run.nb = 'parked', '', '', 0, ''
  put(run)
  zadd('b:' .. run.c, run.z, run.id)
  shift(known(run.c), used, 1)
end

-- Parks runs whose time has come, a bounded number. Told are how many this script parked so, and whether there may be more (0 or 1).
local promoted, overdue = 0, 0
local function promote()
  write_sorted(data .. 'due')
  local ids = redis.call('ZRANGEBYSCORE', data .. 'due', '-inf', now_ms, 'LIMIT', 0, PROMOTE_MAX)
  promoted, overdue = promoted + #ids, #ids == PROMOTE_MAX and 1 or 0
  send('ZREM', data .. 'due', ids)
  read_all(ids)
  for _, id in ipairs(ids) do
    local run = run_of(id)
    add_due(known(run.c), -1)
    park(run, 0)
  end
end

local function take_slot(run)
  zrem('slots', run.id)
  if run.s == 'reserved' then zrem('res', run.id) end
end

local function send_back(run)
  take_slot(run)
  park(run, -1)
end

-- Removes a run in any state, and its slot.
local function forget(run)
  local class = known(run.c)
  runs[run.id] = false
  hdel('r', run.id)
  if run.s == 'parked' then
    zrem('b:' .. run.c, run.id)
    shift(class, 0, -1)
  elseif run.s == 'due' then
    zrem('due', run.id)
    add_due(class, -1)
  else
    take_slot(run)
    shift(class, -1, 0)
  end
end

-- A started slot of an admission that Postgres holds, over any limit.
local function hold(h)
  local class = class_at(h)
  put({ id = h.run, s = 'started', c = h.class, z = '', q = '', nb = '', a = h.admission, n = h.node, t = now_ms })
  zadd('slots', h.admission, h.run)
  shift(class, 1, 0)
end
