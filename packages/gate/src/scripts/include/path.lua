-- Ways from a class up to its workspace, and the smallest tag beside a node. Needs node.lua.
local function agent_of(lane) return string.match(lane, '^[^/]+') end

-- The class at a place; the first place it is named at stands.
local function class_at(place)
  local class = ensure(place.class, place.lane)
  if not class.ws then class.d, class.ws, class.pool, class.job = 0, place.workspace, place.pool, place.job end
  return class
end

-- From a class up to its workspace.
local function path_of(class)
  if not class.path then
    local agent = agent_of(class.p)
    class.path = { class, ensure(class.p, agent), ensure(agent, class.ws), ensure(class.ws, '*') }
  end
  return class.path
end

-- Reads the nodes above these classes with two commands.
local function read_paths(classes)
  read_nodes(classes)
  local above = {}
  for _, id in ipairs(classes) do
    local class = nodes[id]
    if class and not class.path then
      for _, upper in ipairs({ class.p, agent_of(class.p), class.ws }) do above[#above + 1] = upper end
    end
  end
  read_nodes(above)
end

-- Reads the nodes at these places, and the configuration of those that are not at work.
local function read_places(places)
  local ids, missing = {}, {}
  for _, place in ipairs(places) do
    for _, id in ipairs({ place.class, place.lane, agent_of(place.lane), place.workspace }) do ids[#ids + 1] = id end
  end
  read_nodes(ids)
  for _, id in ipairs(ids) do
    if not nodes[id] and not configurations[id] then
      missing[#missing + 1] = id
      configurations[id] = {}
    end
  end
  each_field(data .. 'c', missing, keep_configuration)
end

local function accrue(node)
  if node.u > 0 and now_us > node.at then
    node.t = node.t + math.floor(node.u * (now_us - node.at) * 1000 / node.wt + 0.5)
  end
  node.at = now_us
  node.touched = true
end

-- Whether a node that is in memory has no living child: none holds a slot, and none is eligible in any pool.
local function is_childless(node)
  if not node or node.u > 0 then return false end
  for i = N + 1, 2 * N do
    if node.c[i] > 0 then return false end
  end
  return true
end

-- The smallest tag of a living child of `parent` other than `id`, which is not living now or not counted; nil: none. The set may lag behind
-- the tags, which only grow: an entry is brought up to date when it stands in front, so a change of a tag costs nothing until somebody asks.
local function least_living(parent, id)
  if is_childless(nodes[parent]) then return nil end
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
