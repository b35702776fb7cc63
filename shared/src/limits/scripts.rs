//! What Redis runs. Each script is atomic, takes the time from the server and gives every key an end.

use std::sync::LazyLock;

use redis::Script;

/// Takes a token from each bucket in turn, up to the first that refuses, and answers
/// `{place, quota, left, microseconds until full, microseconds to wait or -1}` of the tighter one. A bucket is the time in
/// microseconds at which it is full, as `take_token` keeps it in PostgreSQL. ARGV: quota and seconds of each.
pub(super) static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local clock = redis.call('TIME')
         local now = clock[1] * 1000000 + clock[2]
         local tighter
         for place, key in ipairs(KEYS) do
             local quota = tonumber(ARGV[2 * place - 1])
             local span = ARGV[2 * place] * 1000000
             local step = span / quota
             local full = math.max(tonumber(redis.call('GET', key) or 0), now)
             if full + step > now + span + 1 then
                 return {place, quota, 0, math.ceil(full - now), math.ceil(math.max(full + step - now - span, 1))}
             end
             full = full + step
             redis.call('SET', key, string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000) + 1000)
             local left = math.floor((span - (full - now)) / step + 0.01)
             if not tighter or left < tighter[3] then
                 tighter = {place, quota, left, math.ceil(full - now), -1}
             end
         end
         return tighter",
    )
});

/// Raises the counter KEYS[1] within a window of ARGV[1] milliseconds that begins with the first count. Answers count and milliseconds
/// left.
pub(super) static COUNT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local count = redis.call('INCR', KEYS[1])
         if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
         return {count, math.max(redis.call('PTTL', KEYS[1]), 0)}",
    )
});

/// Counts a guess, as `take_guess` does in PostgreSQL. KEYS: the network's counter, what was asked's from everywhere, then the pair's
/// counter and the ration of what was asked, of the address (if ARGV[1] is 2) and of each account. ARGV: 1 or 2; a ration's tries and seconds;
/// who knows the network, a digit for each pair; the limits of a pair and of the network; the window in milliseconds. Answers
/// `{milliseconds to wait or -1, failures before, milliseconds spent or -1, account by account 1 or 0}`.
pub(super) static TAKE_GUESS: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local clock = redis.call('TIME')
         local now = clock[1] * 1000000 + clock[2]
         local span, window = ARGV[3] * 1000000, ARGV[7]
         local step = span / ARGV[2]
         local function count(key) return tonumber(redis.call('GET', key) or 0) end
         local function left(key) return math.max(redis.call('PTTL', key), 1) end
         local function raise(key)
             local raised = redis.call('INCR', key)
             if redis.call('PTTL', key) < 0 then redis.call('PEXPIRE', key, window) end
             return raised
         end
         local function take(key)
             local full = math.max(tonumber(redis.call('GET', key) or 0), now) + step
             if full > now + span + 1 then return math.max(math.ceil((full - now - span) / 1000), 1) end
             redis.call('SET', key, string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000) + 1000)
         end
         local function known(place) return string.sub(ARGV[4], place, place) == '1' end
         if count(KEYS[1]) >= tonumber(ARGV[6]) then return {left(KEYS[1]), 0, -1} end
         if count(KEYS[3]) >= tonumber(ARGV[5]) then return {left(KEYS[3]), 0, -1} end
         local wait = not known(1) and take(KEYS[4])
         if wait then return {wait, 0, -1} end
         raise(KEYS[1])
         raise(KEYS[3])
         local answer = {-1, raise(KEYS[2]) - 1, -1}
         if ARGV[1] == '2' then
             if raise(KEYS[5]) > tonumber(ARGV[5]) then answer[3] = left(KEYS[5]) end
             local short = not known(2) and take(KEYS[6])
             if short then answer[3] = math.max(answer[3], short) end
         end
         for place = ARGV[1] + 1, string.len(ARGV[4]) do
             local pair = KEYS[2 * place + 1]
             local admitted = count(pair) < tonumber(ARGV[5]) and (known(place) or not take(KEYS[2 * place + 2]))
             if admitted then raise(pair) end
             answer[#answer + 1] = admitted and 1 or 0
         end
         return answer",
    )
});

/// Forgives or gives back, as `give_guess_back` does in PostgreSQL. KEYS and ARGV as before, without the accounts that it did not match;
/// ARGV[5]: 1 to forgive, 0 to give only the accounts their try back.
pub(super) static GIVE_GUESS_BACK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local step = ARGV[3] * 1000000 / ARGV[2]
         local function lower(key)
             if tonumber(redis.call('GET', key) or 0) > 0 then redis.call('DECR', key) end
         end
         local first = ARGV[1] + 1
         if ARGV[5] == '1' then
             lower(KEYS[1])
             lower(KEYS[2])
             first = 1
         end
         for place = first, string.len(ARGV[4]) do
             local pair, ration = KEYS[2 * place + 1], KEYS[2 * place + 2]
             if ARGV[5] == '1' then redis.call('DEL', pair) else lower(pair) end
             local full, left = redis.call('GET', ration), redis.call('PTTL', ration)
             if string.sub(ARGV[4], place, place) ~= '1' and full and left > 0 then
                 redis.call('SET', ration, string.format('%.0f', full - step), 'PX', left)
             end
         end
         return 1",
    )
});

/// Takes the turn KEYS[1] as ARGV[1] for ARGV[2] milliseconds; whoever finds it taken leaves word at KEYS[2].
pub(super) static TAKE_TURN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
         redis.call('SET', KEYS[2], '1', 'PX', ARGV[2])
         return 0",
    )
});

/// Ends a turn, if it is still ARGV[1]'s, and answers whether somebody left word meanwhile.
pub(super) static END_TURN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
         redis.call('DEL', KEYS[1])
         return redis.call('DEL', KEYS[2])",
    )
});
