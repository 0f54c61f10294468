-- include: opening
-- Promise: a page of the slots, by admission. Changes nothing.
-- ARGV[3]: {after}, an admission as text or '-inf'
-- Reply: 'warm', [run, admission, state, node or '', age (ms), class, lane, workspace, pool, ...], the next page's `after` or ''
if not warm then return { 'cold' } end
local ids = redis.call('ZRANGEBYSCORE', data .. 'slots', '(' .. ask.after, '+inf', 'LIMIT', 0, PAGE_MAX)
local found, last = {}, ''
for _, id in ipairs(ids) do
  local r = redis.call('HMGET', data .. 'r:' .. id, 's', 'a', 'n', 't', 'c')
  local c = redis.call('HMGET', data .. 'n:' .. r[5], 'p', 'ws', 'pool')
  local age = plain(math.max(0, now_ms - tonumber(r[4])))
  for _, value in ipairs({ id, r[2], r[1], r[3] or '', age, r[5], c[1], c[2], c[3] }) do found[#found + 1] = value end
  last = r[2]
end
return { 'warm', found, #ids == PAGE_MAX and last or '' }
