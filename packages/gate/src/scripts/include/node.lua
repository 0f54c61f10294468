-- Nodes of the ordering tree: read once per script, kept here, written by `flush`. Needs record.lua.
-- p parent ('*' above workspaces), u slots used, t tag (slot-nanoseconds / weight), at accrued at (us), w runs waiting below it,
-- e pools in which it is eligible, k eligible children by pool; lim, wt, off copies of its configuration.
-- A class also has: d its due runs, pool, ws workspace, job its jobs' name. A node without w, u and d is idle.
local nodes, offspring, configurations = {}, {}, {}

local function tag_bytes(tag) return struct.pack('>d', tag) end
local function blocked(node) return node.off or (node.lim and node.u >= node.lim) or false end
local function level(node) return math.floor(node.u / node.wt + 1e-9) end
local function is_idle(node) return node.w == 0 and node.u == 0 and node.d == 0 end

local function configured(node, limit, weight, paused)
  node.lim = tonumber(limit or '') or false
  node.wt = tonumber(weight or '') or 1
  node.off = paused == '1'
end

local function adopt(node)
  nodes[node.id] = node
  local siblings = offspring[node.p]
  if siblings then siblings[#siblings + 1] = node else offspring[node.p] = { node } end
end

local function keep_node(id, packed)
  if not packed then
    nodes[id] = false
    return
  end
  local v = cmsgpack.unpack(packed)
  local node = { id = id, p = v[1], u = v[2], t = v[3], at = v[4], w = v[5], d = v[6], lim = v[9], wt = v[10], off = v[11] }
  node.e, node.k, node.pool, node.ws, node.job = {}, {}, v[12], v[13], v[14]
  for _, pool in ipairs(v[7]) do node.e[pool] = true end
  for k = 1, #v[8], 2 do node.k[v[8][k]] = v[8][k + 1] end
  -- What the sets of its parent hold of it.
  node.stored_e, node.stored_tag, node.stored_level = node.e, v[15], v[16]
  node.living, node.stored_idle, node.had = node.u > 0 or next(node.e) ~= nil, is_idle(node), {}
  for pool, count in pairs(node.k) do node.had[pool] = count end
  adopt(node)
end

-- The node, or nil when it is not at work.
local function known(id)
  if nodes[id] == nil then keep_node(id, redis.call('HGET', data .. 'n', id)) end
  return nodes[id] or nil
end

local function read_nodes(ids)
  local missing = {}
  for _, id in ipairs(ids) do
    if nodes[id] == nil then
      missing[#missing + 1] = id
      nodes[id] = false
    end
  end
  each_field(data .. 'n', missing, keep_node)
end

local function pack(node)
  local e, k = {}, {}
  for pool in pairs(node.e) do e[#e + 1] = pool end
  for pool, count in pairs(node.k) do
    if count > 0 then
      k[#k + 1] = pool
      k[#k + 1] = count
    end
  end
  return cmsgpack.pack({ node.p, node.u, node.t, node.at, node.w, node.d, e, k, node.lim, node.wt, node.off, node.pool, node.ws, node.job,
    node.stored_tag, node.stored_level })
end

local function keep_configuration(id, packed) configurations[id] = packed and cmsgpack.unpack(packed) or {} end

local function ensure(id, parent)
  local node = known(id)
  if node then return node end
  node = { id = id, p = parent, u = 0, t = 0, at = now_us, w = 0, d = 0, e = {}, k = {}, pool = false, ws = false, job = false }
  if not configurations[id] then keep_configuration(id, redis.call('HGET', data .. 'c', id)) end
  configured(node, unpack(configurations[id], 1, 3))
  node.stored_e, node.stored_tag, node.stored_level, node.living, node.stored_idle, node.had = node.e, 0, 0, false, false, {}
  adopt(node)
  return node
end
