% Counts solutions of the queens puzzle; computes, keeps nothing.   queens.pl N
main :- current_prolog_flag(argv, Given), append(_, [A], Given), !, atom_number(A, N),
    numlist(1, N, L), aggregate_all(count, place(L, [], _), Count), writeln(Count).
place([], Q, Q).
place(L, Placed, Q) :- select(X, L, Rest), safe(X, 1, Placed), place(Rest, [X | Placed], Q).
safe(_, _, []).
safe(X, D, [Y | R]) :- abs(X - Y) =\= D, D1 is D + 1, safe(X, D1, R).
:- initialization(main, main).
