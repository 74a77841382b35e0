-- The next timers of one partition, over several of its lists, in the order of (score, member, list).
-- KEYS the lists. ARGV[1] how many are wanted, ARGV[2] how many may be looked at, ARGV[3…5] the score, member and list
-- after which to begin (all empty: at the beginning), then for each list its name, and what a member must have in it and
-- at its end. Returns the place of the last one looked at, empty when there are no more, and score, member and list of
-- each that was found.
local most, looks = tonumber(ARGV[1]), tonumber(ARGV[2])
local from, last_member, last_list = ARGV[3], ARGV[4], ARGV[5]
local from_score = tonumber(from)

local function comes_before(one, other) -- by bytes, as Redis sorts: Lua's own order is that of the server's locale
  for at = 1, math.min(#one, #other) do
    local a, b = one:byte(at), other:byte(at)
    if a ~= b then
      return a < b
    end
  end
  return #one < #other
end

local function precedes(score, member, list, other_score, other_member, other_list)
  if score ~= other_score then
    return score < other_score
  end
  if member ~= other_member then
    return comes_before(member, other_member)
  end
  return comes_before(list, other_list)
end

local function advance(list)
  repeat
    if list.at > #list.rows then
      list.rows = redis.call('ZRANGE', list.key, list.rank, list.rank + list.chunk - 1, 'WITHSCORES')
      list.rank, list.at, list.chunk = list.rank + list.chunk, 1, 1000
      if #list.rows == 0 then
        list.member = nil
        return
      end
    end
    list.member, list.score = list.rows[list.at], tonumber(list.rows[list.at + 1])
    list.at = list.at + 2
  until not from_score or precedes(from_score, last_member, last_list, list.score, list.member, list.name)
end

local lists = {}
for number, key in ipairs(KEYS) do
  local at = 3 + 3 * number
  local list = {key = key, name = ARGV[at], has = ARGV[at + 1], ends = ARGV[at + 2], rows = {}, at = 1, rank = 0}
  list.chunk = most + 1
  if from_score then
    list.rank = redis.call('ZCOUNT', key, '-inf', '(' .. from)
  end
  advance(list)
  if list.member then
    lists[#lists + 1] = list
  end
end

local found, passed = {'', '', ''}, 0
while #lists > 0 and passed < looks and #found < 3 + 3 * most do
  local first = 1
  for at = 2, #lists do
    local one, other = lists[at], lists[first]
    if precedes(one.score, one.member, one.name, other.score, other.member, other.name) then
      first = at
    end
  end
  local list = lists[first]
  local member = list.member
  local ends = list.ends == '' or member:sub(-#list.ends) == list.ends
  passed = passed + 1
  from_score = nil -- behind us for every list
  found[1], found[2], found[3] = string.format('%d', list.score), member, list.name
  if ends and (list.has == '' or member:find(list.has, 1, true)) then
    local size = #found
    found[size + 1], found[size + 2], found[size + 3] = found[1], member, list.name
  end
  advance(list)
  if not list.member then
    table.remove(lists, first)
  end
end
if #lists == 0 then
  found[1], found[2], found[3] = '', '', ''
end
return found
