-- The fair choice among the eligible children of a node in a pool: fewest slots by weight, then the smallest tag. Needs tree.lua.
-- A view joins the children that the script has changed, which are in memory, with the stored set, which says the truth of all others.
-- While slots are given, a child's place only moves back: an entry made earlier is a lower bound and is looked at again when it stands first.
local views = {}
local PAGE_FIRST, PAGE_LAST = 2, 64

-- Whether place a (level, tag, id) comes after place b.
local function after(a, b)
  if a[1] ~= b[1] then return a[1] > b[1] end
  if a[2] ~= b[2] then return a[2] > b[2] end
  return a[3] > b[3]
end

-- Enters a child in memory among the candidates, of which the best stands last.
local function enter(view, node)
  local place, candidates = { level(node), node.c[TAG + view.pool], node.id }, view.candidates
  local low, high = 1, #candidates + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if after(candidates[middle], place) then low = middle + 1 else high = middle end
  end
  table.insert(candidates, low, place)
end

local function view_of(i, parent)
  local key = data .. 'e:' .. POOLS[i] .. ':' .. parent
  local view = views[key]
  if view then return view end
  view = { key = key, pool = i, candidates = {}, seen = {}, stored = {}, at = 1, read = 0, page = PAGE_FIRST }
  for _, node in ipairs(offspring[parent] or {}) do
    if node.c[i] == 1 then
      view.seen[node.id] = true
      view.candidates[#view.candidates + 1] = { level(node), node.c[TAG + i], node.id }
    end
  end
  table.sort(view.candidates, after)
  local above = nodes[parent]
  view.ended = above and #view.candidates == above.c[CHILDREN + i]
  views[key] = view
  return view
end

-- The best of the stored children that are not in memory, or nil.
local function first_stored(view)
  while true do
    local place = view.stored[view.at]
    if place then
      local node = nodes[place[3]]
      if not node then return place end
      if not view.seen[node.id] then
        view.seen[node.id] = true
        if node.c[view.pool] == 1 then enter(view, node) end
      end
      view.at = view.at + 1
    elseif view.ended then
      return nil
    else
      local found = redis.call('ZRANGE', view.key, view.read, view.read + view.page - 1, 'WITHSCORES')
      view.stored, view.at, view.read, view.ended = {}, 1, view.read + view.page, #found < view.page * 2
      view.page = math.min(view.page * 2, PAGE_LAST)
      for k = 1, #found, 2 do
        view.stored[#view.stored + 1] = { tonumber(found[k + 1]), (struct.unpack('>d', found[k])), string.sub(found[k], 9) }
      end
    end
  end
end

-- The best of the children in memory, or nil.
local function first_candidate(view)
  local candidates = view.candidates
  while true do
    local place = candidates[#candidates]
    if not place then return nil end
    local node = nodes[place[3]]
    local current = node.c[view.pool] == 1
    if current and place[1] == level(node) and place[2] == node.c[TAG + view.pool] then return place end
    candidates[#candidates] = nil
    if current then enter(view, node) end
  end
end

-- Takes the best child out of its view and answers its id; nil: there is none.
local function choose(i, parent)
  local view = view_of(i, parent)
  if view.read == 0 and #view.candidates == 0 and not view.ended then
    -- Nothing was changed here yet: the set alone says it.
    local found = redis.call('ZRANGE', view.key, 0, 0)[1]
    view.read, view.ended = 1, not found
    local id = found and string.sub(found, 9)
    if not id or nodes[id] then
      view.read = 0
    else
      view.seen[id] = true
      return id
    end
  end
  local stored, candidate = first_stored(view), first_candidate(view)
  if stored and (not candidate or after(candidate, stored)) then
    view.at = view.at + 1
    view.seen[stored[3]] = true
    return stored[3]
  end
  if not candidate then return nil end
  view.candidates[#view.candidates] = nil
  return candidate[3]
end
