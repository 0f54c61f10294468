-- include: opening node tree run
-- Promise: 'started' only while this run holds a slot of exactly this admission that this node started now or before.
-- With a paused node on the path a reserved run goes back to the head of its class and is refused.
-- ARGV[3]: {run, admission, node}, the admission as text
-- Reply: 'warm', 'started' or 'refused'
if not warm then return { 'cold' } end
local run = run_of(ask.run)
if not run or run.a ~= ask.admission then return { 'warm', 'refused' } end
if run.s == 'started' then return { 'warm', run.n == ask.node and 'started' or 'refused' } end
for _, node in ipairs(path_of(known(run.c))) do
  if node.off then
    send_back(run)
    flush()
    return { 'warm', 'refused' }
  end
end
run.s, run.n, run.t = 'started', ask.node, now_ms
put(run)
redis.call('ZREM', data .. 'res', run.id)
return { 'warm', 'started' }
