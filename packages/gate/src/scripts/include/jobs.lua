-- The BullMQ jobs that carry reserved slots to a worker: added by BullMQ's own script, as `Queue.add` would. Needs bullmq and opening.lua.
local QUEUE_KEYS = { 'wait', 'paused', 'meta', 'id', 'completed', 'delayed', 'active', 'events', 'marker' }
local ordered, unwanted = {}, {}

-- A job for this slot, at the end of the script. Its name is kept apart from the class, which is not to be used by then.
local function order_job(run, admission, class)
  ordered[#ordered + 1] = { run = run, admission = admission, pool = class.pool, name = class.job }
end

-- The job of a reservation that ends untaken goes with it, at the end of the script: where nobody takes jobs, they do not pile up. One that
-- a worker has taken by now is left to it.
local function drop_job(run)
  unwanted[#unwanted + 1] = { id = run.id .. '-' .. run.a, pool = known(run.c).pool }
end

local function remove_jobs()
  for _, job in ipairs(unwanted) do
    local prefix = fleet .. 'jobs:' .. job.pool .. ':'
    -- from the end that workers take from, where the oldest stand
    if redis.call('LREM', prefix .. 'wait', -1, job.id) == 1 then redis.call('DEL', prefix .. job.id) end
  end
end

local function add_jobs()
  for _, job in ipairs(ordered) do
    local prefix = fleet .. 'jobs:' .. job.pool .. ':'
    local id, keys = job.run .. '-' .. job.admission, {}
    for k, part in ipairs(QUEUE_KEYS) do keys[k] = prefix .. part end
    local options = { jobId = id, attempts = 1, removeOnComplete = true, removeOnFail = true }
    add_standard_job(keys, {
      cmsgpack.pack({ prefix, id, job.name, now_ms }),
      '{"run_id":"' .. job.run .. '","admission":' .. job.admission .. '}',
      cmsgpack.pack(options),
    })
  end
end
