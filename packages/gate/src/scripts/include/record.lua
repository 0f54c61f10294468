-- Reads packed records, many with one command. Needs opening.lua.
local ARGUMENTS_MAX = 1000

-- Calls back with each field of a hash and its packed value, false where there is none.
local function each_field(key, fields, read)
  for from = 1, #fields, ARGUMENTS_MAX do
    local last = math.min(from + ARGUMENTS_MAX - 1, #fields)
    local found = redis.call('HMGET', key, unpack(fields, from, last))
    for k = from, last do read(fields[k], found[k - from + 1]) end
  end
end

-- Runs by id: read once per script, kept here; false for one that the gate does not know.
local runs = {}

-- A run: s state, c class, z score in its class, q queued at (ms), nb not before (ms), a admission, n node, t since (ms); '' or 0 for none.
local RUN_PACKED = '>sssssssd'
local function keep_run(id, packed)
  runs[id] = false
  if not packed then return end
  local s, c, z, q, nb, a, n, t = struct.unpack(RUN_PACKED, packed)
  runs[id] = { id = id, s = s, c = c, z = z, q = q, nb = nb, a = a, n = n, t = t }
end

local function read_runs(ids)
  local missing = {}
  for _, id in ipairs(ids) do
    if runs[id] == nil then missing[#missing + 1] = id end
  end
  each_field(data .. 'r', missing, keep_run)
end

local function run_of(id)
  if runs[id] == nil then keep_run(id, redis.call('HGET', data .. 'r', id)) end
  return runs[id] or nil
end

-- The values of one field of each item of a list.
local function pluck(list, field)
  local found = {}
  for k, item in ipairs(list) do found[k] = item[field] end
  return found
end
