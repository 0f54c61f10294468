-- include: opening record node path
-- Promise: a page of the slots, by admission. Changes nothing.
-- ARGV[3]: {after}, an admission as text or '-inf'
-- Reply: 'warm', [run, admission, state, node or '', age (ms), class, lane, workspace, pool, ...], the next page's `after` or ''
if not warm then return { 'cold' } end
local ids = redis.call('ZRANGEBYSCORE', data .. 'slots', '(' .. ask.after, '+inf', 'LIMIT', 0, PAGE_MAX)
local found, last = {}, ''
read_runs(ids)
for _, id in ipairs(ids) do
  local run = run_of(id)
  local class = known(run.c)
  -- of one from before the clock was set back nobody knows the age: it is not taken for young
  local age = plain(math.abs(now_ms - run.t))
  for _, value in ipairs({ id, run.a, run.s, run.n, age, run.c, class.p, class.ws, class.pool }) do found[#found + 1] = value end
  last = run.a
end
return { 'warm', found, #ids == PAGE_MAX and last or '' }
