-- The fair choice, at every level: fewest slots by weight, then the smallest tag; pools take turns. Needs run.lua.
-- O(depth x log n) for each admission.
local admitted = {}
local cut = 0

local function first(pool, id)
  local v = redis.call('ZRANGE', data .. 'e:' .. pool .. ':' .. id, 0, 0)
  return v[1] and string.sub(v[1], 9)
end

local function admit_one(pool)
  local id = first(pool, '*')
  if not id then return false end
  if #admitted >= ADMIT_MAX * 4 then
    cut = 1
    return false
  end
  for _ = 1, 3 do id = first(pool, id) end
  local run = redis.call('ZPOPMIN', data .. 'b:' .. id)[1]
  local class = known(id)
  local k = #admitted
  admitted[k + 1], admitted[k + 2], admitted[k + 3], admitted[k + 4] = run, reserve(run, class), pool, class.job
  return true
end

-- Gives every free slot that may be given, up to ADMIT_MAX; `cut` says that there may be more.
local function admit()
  local waits = 0
  for _, pool in ipairs(POOLS) do waits = waits + pool_number('due', pool) end
  if waits > 0 then promote() end
  local more = true
  while more do
    more = false
    for _, pool in ipairs(POOLS) do
      if pool_number('used', pool) < pool_number('capacity', pool) and admit_one(pool) then more = true end
    end
  end
end

-- Ends a script that admits. Reply: 'warm', cut (0 or 1), [run, admission, pool, job name, ...], and the script's own result.
local function admit_and_reply(result)
  admit()
  flush()
  return { 'warm', cut, admitted, result }
end
