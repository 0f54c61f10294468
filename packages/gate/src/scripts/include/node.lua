-- Nodes of the ordering tree: read once per script, kept here, written by `flush`.
-- p parent ('*' above workspaces), u slots used, t tag (slot-nanoseconds / weight), at accrued at (us), w runs waiting below it,
-- e pools in which it is eligible; lim, wt, off copies of its configuration.
-- A class also has: d its due runs, pool, ws workspace, job its jobs' name. A node without w, u and d is idle.
local nodes = {}

local function tag_bytes(tag) return struct.pack('>d', tag) end
local function blocked(node) return node.off or (node.lim and node.u >= node.lim) or false end
local function level(node) return math.floor(node.u / node.wt + 1e-9) end
local function is_idle(node) return node.w == 0 and node.u == 0 and node.d == 0 end

local function configured(node, limit, weight, paused)
  node.lim = tonumber(limit or '') or false
  node.wt = tonumber(weight or '') or 1
  node.off = paused == '1'
end

-- What the sets of its parent hold of a node that was just read or made.
local function as_stored(node)
  node.blocked = blocked(node)
  node.living = node.u > 0 or next(node.e) ~= nil
  node.stored_tag, node.stored_level, node.stored_idle = node.t, level(node), is_idle(node)
end

-- The node, or nil when it is not at work.
local function known(id)
  local node = nodes[id]
  if node then return node end
  local packed = redis.call('GET', data .. 'n:' .. id)
  if not packed then return nil end
  local v = cmsgpack.unpack(packed)
  node = { id = id, p = v[1], u = v[2], t = v[3], at = v[4], w = v[5], d = v[6], lim = v[8], wt = v[9], off = v[10] }
  node.e, node.pool, node.ws, node.job = {}, v[11], v[12], v[13]
  for _, pool in ipairs(v[7]) do node.e[pool] = true end
  as_stored(node)
  nodes[id] = node
  return node
end

local function pack(node)
  local e = {}
  for _, pool in ipairs(POOLS) do
    if node.e[pool] then e[#e + 1] = pool end
  end
  return cmsgpack.pack({ node.p, node.u, node.t, node.at, node.w, node.d, e, node.lim, node.wt, node.off, node.pool, node.ws, node.job })
end

local function ensure(id, parent)
  local node = known(id)
  if node then return node end
  node = { id = id, p = parent, u = 0, t = 0, at = now_us, w = 0, d = 0, e = {}, pool = false, ws = false, job = false }
  local v = redis.call('HMGET', data .. 'c:' .. id, 'limit', 'weight', 'paused')
  configured(node, v[1], v[2], v[3])
  as_stored(node)
  node.stored_idle = false
  nodes[id] = node
  return node
end

-- The class at a place; the first place it is named at stands.
local function class_at(place)
  local class = ensure(place.class, place.lane)
  if not class.ws then class.ws, class.pool, class.job = place.workspace, place.pool, place.job end
  return class
end

-- From a class up to its workspace.
local function path_of(class)
  if not class.path then
    local agent = string.match(class.p, '^[^/]+')
    class.path = { class, ensure(class.p, agent), ensure(agent, class.ws), ensure(class.ws, '*') }
  end
  return class.path
end

local function accrue(node)
  if node.u > 0 and now_us > node.at then
    node.t = node.t + math.floor(node.u * (now_us - node.at) * 1000 / node.wt + 0.5)
  end
  node.at = now_us
  node.touched = true
end

-- The smallest tag of a living child of `parent` other than `id`; nil: none. The set may lag behind the tags, which only grow: an entry
-- is brought up to date when it stands in front, so a change of a tag costs nothing until somebody asks.
local function least_living(parent, id)
  local key = data .. 'l:' .. parent
  while true do
    local v = redis.call('ZRANGE', key, 0, 1, 'WITHSCORES')
    local k = v[1] == id and 3 or 1
    if not v[k] then return nil end
    local node, tag = known(v[k]), tonumber(v[k + 1])
    if not node or node.t <= tag then return tag end
    redis.call('ZADD', key, plain(node.t), v[k])
  end
end
