-- Ways from a class up to its workspace, and the smallest tags beside a node. Needs node.lua.
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

-- Charges a node for the slots that it has held since `at`. Holders are charged each second: what the clock leapt over is no use of a slot.
local function accrue(node)
  if node.u > 0 and now_us > node.at then
    local c, held_ns = counts_of(node), math.min(now_us - node.at, ACCRUE_MAX_MS * 1000) * 1000
    for i = 1, N do
      if c[SLOTS + i] > 0 then c[TAG + i] = c[TAG + i] + math.floor(c[SLOTS + i] * held_ns / node.wt + 0.5) end
    end
  end
  node.at = now_us
  node.touched = true
end

-- The smallest tag in the pool of a living child of `parent`, one that is eligible or holds a slot there, other than `id`, which is not living
-- now or not counted; nil: none. The set may lag behind the tags, which only grow: an entry is brought up to date when it stands in front,
-- so a change of a tag costs nothing until somebody asks.
local function least_living(i, parent, id)
  local above = nodes[parent]
  if above and above.c[CHILDREN + i] == 0 and above.c[SLOTS + i] == 0 then return nil end
  local key = data .. 'l:' .. POOLS[i] .. ':' .. parent
  while true do
    local v = redis.call('ZRANGE', key, 0, 1, 'WITHSCORES')
    local k = v[1] == id and 3 or 1
    if not v[k] then return nil end
    local node, tag = known(v[k]), tonumber(v[k + 1])
    if not node or node.c[TAG + i] <= tag then return tag end
    redis.call('ZADD', key, plain(node.c[TAG + i]), v[k])
  end
end

-- The first pool but `caught_up`, if given, in which the node's tag is ahead of the smallest of a living sibling; nil: none.
local function ahead_in(node, caught_up)
  for i = 1, N do
    local tag = node.c[TAG + i]
    local least = tag > 0 and i ~= caught_up and least_living(i, node.p, node.id)
    if least and tag > least then return i end
  end
end
