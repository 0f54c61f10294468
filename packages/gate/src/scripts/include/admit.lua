-- Gives free slots: the fair choice at every level, pools taking turns. Needs choice.lua, flush.lua, jobs.lua and run.lua.
-- O(depth x log n) for each admission.
local admitted, given = {}, {}
local cut = 0

local function admit_one(i)
  local workspace = choose(i, '*')
  if not workspace then return false end
  if #given >= ADMIT_MAX then
    cut = 1
    return false
  end
  local agent = choose(i, workspace)
  local lane = choose(i, agent)
  local class = choose(i, lane)
  read_nodes({ workspace, agent, lane, class })
  given[#given + 1] = class
  shift(nodes[class], 1, -1)
  for _, node in ipairs(nodes[class].path) do
    if node.c[i] == 1 then enter(view_of(i, node.p), node) end
  end
  return true
end

-- The heads of the classes that were given slots, in the order in which they were given.
local function take_heads()
  local wanted, heads, ids = {}, {}, {}
  for _, class in ipairs(given) do wanted[class] = (wanted[class] or 0) + 1 end
  for class, number in pairs(wanted) do
    local key = data .. 'b:' .. class
    write_sorted(key)
    local popped = redis.call('ZPOPMIN', key, number)
    heads[class] = { at = 0 }
    for k = 1, #popped, 2 do heads[class][#heads[class] + 1] = popped[k] end
  end
  for k, class in ipairs(given) do
    heads[class].at = heads[class].at + 1
    ids[k] = heads[class][heads[class].at]
  end
  return ids
end

-- Slots are reserved until their job was carried to a node. `keep` = {node, pools = {pool = number}}: so many are started on that node at
-- once, without a job.
local function reserve_all(keep)
  local ids = take_heads()
  read_runs(ids)
  for k, id in ipairs(ids) do
    local run, class = runs[id], nodes[given[k]]
    local left = keep and keep.pools[class.pool] or 0
    counter = counter + 1
    run.a, run.t = plain(epoch * 4294967296 + counter), now_ms
    if left > 0 then
      keep.pools[class.pool] = left - 1
      run.s, run.n = 'started', keep.node
    else
      run.s = 'reserved'
      zadd('res', now_ms + RESERVED_MS, id)
      order_job(id, run.a, class)
    end
    put(run)
    zadd('slots', run.a, id)
    for _, value in ipairs({ id, run.a, class.pool, run.s }) do admitted[#admitted + 1] = value end
  end
end

-- Gives every free slot that may be given, up to ADMIT_MAX; `cut` says that there may be more.
local function admit(keep)
  local waits = 0
  for _, pool in ipairs(POOLS) do waits = waits + pool_number(DUE, pool) end
  if waits > 0 then promote() end
  local more = true
  while more do
    more = false
    for i, pool in ipairs(POOLS) do
      if pool_number(USED, pool) < pool_number(CAPACITY, pool) and admit_one(i) then more = true end
    end
  end
  if #given > 0 then reserve_all(keep) end
end

-- Ends a script that admits. Its jobs come last: were BullMQ to fail, what was written stands, and the reservations run out.
-- Reply: 'warm', cut (0 or 1), [run, admission, pool, 'reserved' or 'started', ...], and the script's own result.
local function admit_and_reply(result, keep)
  admit(keep)
  flush()
  remove_jobs()
  add_jobs()
  return { 'warm', cut, admitted, result }
end
