#!/usr/bin/env escript
%% A slow reader of a fast writer: its mailbox grows until the writer rests.   mailbox.erl MESSAGES WIDTH BURST
main([A, B, C]) ->
    [Messages, Width, Burst] = [list_to_integer(X) || X <- [A, B, C]],
    Self = self(),
    Reader = spawn(fun() -> read(Messages, Self) end),
    write(Messages, Width, Burst, Reader),
    receive done -> io:format("done~n") end.
write(0, _, _, _) -> ok;
write(N, Width, Burst, Reader) ->
    Reader ! {N, lists:duplicate(Width, N)},
    if N rem Burst == 0 -> timer:sleep(50); true -> ok end,
    write(N - 1, Width, Burst, Reader).
read(0, Self) -> Self ! done;
read(N, Self) -> receive {N, L} -> lists:sum(lists:sort(L ++ L)) end, read(N - 1, Self).
