-- Buckets of one partition, as many as one call may take; the caller goes on where it ends.
-- KEYS[1] position; ARGV[1] what the keys of the partition's buckets begin with; ARGV[2] (MessagePack) the question:
-- {places, segments, wanted, standing}, where `places` are what stands between the prefix and the segment, and the other
-- two are {fields, beginnings} that are wanted of a bucket and of the one that never ends (both empty: everything).
-- ARGV[3] (MessagePack) {life, since, known, place, segment, budget}: `known` has a 1 for every place that the caller has
-- as it was at step `since` of `life`, and place and segment say where to begin.
-- Answers {life, step, clock, kept, place, segment, names, buckets}: whether the caller may keep what is over; where to
-- go on (0: all was read); which buckets of these segments changed late since then, false if that can no longer be told;
-- and {place, segment, fields, …}, where fields are a flat list or a bucket as stored. Every key lies in the slot of KEYS[1].
local call, byte, sub = redis.call, string.byte, string.sub
local AT_ONCE = 64
local FEW = 8 -- of so few segments, each is asked for
local MANY = 4096 -- changes that are looked through: more are as much work as beginning anew
local life, epoch, logged, step, clock_us, from, listed =
  unpack(call('HMGET', KEYS[1], 'life', 'epoch', 'logged', 'step', 'clock_us', 'late_from', 'listed'))
listed = listed ~= false and listed == epoch
life, step = life or '', tonumber(step or 0)
local prefix, question, asked = ARGV[1], cmsgpack.unpack(ARGV[2]), cmsgpack.unpack(ARGV[3])
local places, segments, budget = question[1], question[2], asked[6]
local since, known, first_place, first_segment = asked[2], asked[3], asked[4], asked[5]
local kept = logged ~= false and logged == epoch
local buckets, spent = {}, 0

-- Of a bucket that is a hash, what is wanted, as a flat list. One that is a string goes to the caller as it is.
local function reading(wanted)
  local fields, beginnings, named = wanted[1], wanted[2], {}
  for _, field in ipairs(fields) do
    named[field] = true
  end
  if #beginnings == 0 and #fields == 0 then
    return function(key)
      return call('HGETALL', key)
    end
  end
  return function(key)
    local found, right, size = nil, {}, 0
    if #beginnings == 0 then
      found = call('HMGET', key, unpack(fields))
      for at = 1, #fields do
        if found[at] then
          right[size + 1], right[size + 2] = fields[at], found[at]
          size = size + 2
        end
      end
      return right
    end
    found = call('HGETALL', key)
    spent = spent + #found / 16
    for at = 1, #found, 2 do
      local fits = named[found[at]]
      for number = 1, #beginnings do
        fits = fits or sub(found[at], 1, #beginnings[number]) == beginnings[number]
      end
      if fits then
        right[size + 1], right[size + 2] = found[at], found[at + 1]
        size = size + 2
      end
    end
    return right
  end
end

local of_bucket, of_standing = reading(question[3]), reading(question[4])

-- Reads the buckets of these segments at a place. `all`: what is not there is answered too, as an empty list.
local function take(place, some, all)
  local beginning, keys = prefix .. places[place], {}
  for at = 1, #some do
    keys[at] = beginning .. segments[some[at]]
  end
  local strings = call('MGET', unpack(keys)) -- nothing for what is a hash, or is not there
  local size = #buckets
  for at = 1, #some do
    local found = strings[at]
    if not found then
      found = (byte(beginning, #prefix + 1) == 110 and of_standing or of_bucket)(keys[at])
      spent = spent + #found / 32 + 1
    end
    if all or #found > 0 then
      buckets[size + 1], buckets[size + 2], buckets[size + 3] = place, some[at], found
      size = size + 3
    end
  end
  spent = spent + 1 + #some / 4
end

local names = {}
if since >= 0 then
  local key = sub(KEYS[1], 1, -4) .. 'late'
  if not kept or asked[1] ~= life or step < since or since < tonumber(from or 0) then
    names = false
  elseif step > since and call('ZCOUNT', key, '(' .. since, '+inf') > MANY then
    names = false
  elseif step > since then
    local number_of, held = {}, {}
    for number, segment in ipairs(segments) do
      number_of[segment] = number
    end
    for number, place in ipairs(places) do
      held[place] = byte(known, number) == 49 and number or nil
    end
    for _, name in ipairs(call('ZRANGEBYSCORE', key, '(' .. since, '+inf')) do
      local place, segment = string.match(name, '^(%w+:%d+:)(.*)$')
      if number_of[segment] then
        names[#names + 1] = name
        if held[place] then
          take(held[place], {number_of[segment]}, true)
        end
      end
    end
  end
  if not names then
    known = ''
  end
end

local numbers
-- The segments that are to be read at a place, in order: those that are listed there, or all where nobody listed them.
local function there(place, first)
  local found, size = {}, 0
  if not listed or #segments <= FEW or byte(places[place]) == 110 then
    for number = first, #segments do
      size = size + 1
      found[size] = number
    end
    return found
  end
  if not numbers then
    numbers = {}
    for number, segment in ipairs(segments) do
      numbers[segment] = number
    end
  end
  local names_there = call('HKEYS', sub(KEYS[1], 1, -4) .. 'i:' .. sub(places[place], 1, -2))
  for at = 1, #names_there do
    local number = numbers[names_there[at]]
    if number and number >= first then
      size = size + 1
      found[size] = number
    end
  end
  spent = spent + 1 + #names_there / 16
  table.sort(found)
  return found
end

for place = first_place, #places do
  if byte(known, place) ~= 49 then
    local found = there(place, place == first_place and first_segment or 1)
    for from = 1, #found, AT_ONCE do
      if spent >= budget then
        return {life, step, clock_us or '0', kept and 1 or 0, place, found[from], names, buckets}
      end
      local some = {}
      for at = from, math.min(from + AT_ONCE - 1, #found) do
        some[#some + 1] = found[at]
      end
      take(place, some, false)
    end
  end
end
return {life, step, clock_us or '0', kept and 1 or 0, 0, 0, names, buckets}
