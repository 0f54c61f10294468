-- include: opening record node path writes tree flush run
-- Promise: for each slot asked for, 'started' only while its run holds a slot of exactly this admission that this node started now or before.
-- With a paused node on the path a reserved run goes back to the head of its class and is refused.
-- ARGV[3]: {starts: [{run, admission}], node}, the admission as text
-- Reply: 'warm', ['started' or 'refused', ...] in the order asked
if not warm then return { 'cold' } end
read_all(pluck(ask.starts, 'run'))

local function is_paused(run)
  for _, node in ipairs(path_of(known(run.c))) do
    if node.off then return true end
  end
  return false
end

local function start(run)
  if run.s == 'started' then return run.n == ask.node end
  if is_paused(run) then
    send_back(run)
    return false
  end
  zrem('res', run.id)
  run.s, run.n, run.t = 'started', ask.node, now_ms
  put(run)
  return true
end

local answers = {}
for k, s in ipairs(ask.starts) do
  local run = run_of(s.run)
  answers[k] = run and run.a == s.admission and start(run) and 'started' or 'refused'
end
flush()
return { 'warm', answers }
