-- Begins every script: the cold check, the clock, the names of keys, the request.
-- The loader writes the constants above this line: FORMAT, POOLS, RESERVED_MS, ACCRUE_MAX_MS, ADMIT_MAX, PROMOTE_MAX, SWEEP_MAX, IDLE_MAX,
-- PAGE_MAX, LOOK_MAX.
-- KEYS[1]  {fleet}:gate, a hash: format, epoch, run_id (of the server that was loaded), counter (of admissions), pools (their numbers)
-- ARGV[1]  run_id of the server on this connection   ARGV[2]  epoch ms, or '' for Redis TIME   ARGV[3]  the request as JSON
-- Keys of an epoch, all after {fleet}:<epoch>: and all made here or in the includes; packed values are made by struct or MessagePack:
--   r   a hash: runs, packed (record.lua)                 b:<class> waiting runs by score
--   n   a hash: nodes of the tree at work, packed (node.lua)   c   a hash: nodes' configuration, [limit, weight, paused, version]
--   e:<pool>:<node> eligible children by slots / weight, the member beginning with the tag (8 bytes that sort as the number does);
--   an only child's entry may lag behind its slots and tag
--   l:<pool>:<node> living children by a tag they once had in the pool
--   i:<pool>:<node> idle children that are remembered, each in one pool, by its tag there
--   slots: runs by admission    res: reserved runs by expiry (ms)    due: runs by their time (ms)
--   idle: <pool>:<node> of remembered idle children, by the time they were looked at (ms)    pass: how far the accrual has come
local meta = redis.call('HMGET', KEYS[1], 'format', 'run_id', 'epoch', 'counter', 'pools')
local epoch = tonumber(meta[3] or '0')
local counter = tonumber(meta[4] or '0')
-- an epoch has 2^32 admissions: a gate that comes near counts as cold, and the next epoch begins anew
local warm = meta[1] == FORMAT and meta[2] == ARGV[1] and counter < 4294000000
local fleet = string.sub(KEYS[1], 1, -5)

-- Lua prints whole numbers past 14 digits with an exponent.
local function plain(number) return string.format('%.0f', number) end

local data = fleet .. plain(epoch) .. ':'
local now_us
if ARGV[2] == '' then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
else
  now_us = ARGV[2] * 1000
end
local now_ms = math.floor(now_us / 1000)
local ask = cjson.decode(ARGV[3])

-- Numbers of each pool, by name.
local CAPACITY, USED, QUEUED, DUE = 1, 2, 3, 4
local pools, pools_changed = {}, false
for i, pool in ipairs(POOLS) do
  if warm and meta[5] then pools[pool] = { struct.unpack('>dddd', meta[5], 32 * i - 31) }
  else pools[pool] = { 0, 0, 0, 0 } end
end
local function pool_number(what, pool) return pools[pool][what] end
local function set_pool(what, pool, value) pools[pool][what], pools_changed = value, true end
local function packed_pools()
  local packed = {}
  for i, pool in ipairs(POOLS) do packed[i] = struct.pack('>dddd', unpack(pools[pool], 1, 4)) end
  return table.concat(packed)
end
local function add_pool(what, pool, by) set_pool(what, pool, math.max(0, pool_number(what, pool) + by)) end
