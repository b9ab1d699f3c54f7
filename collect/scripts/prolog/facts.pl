% Asserts facts, then queries them.   facts.pl COUNT WIDTH
:- dynamic fact/3.
main :- current_prolog_flag(argv, Given), append(_, [A, B], Given), !,
    atom_number(A, Count), atom_number(B, Width), length(Tail, Width), maplist(=(x), Tail),
    forall(between(1, Count, I), (K is (I * 7919) mod 10007, assertz(fact(I, K, f(I, Tail))))),
    aggregate_all(count, (fact(_, K, _), K < 100), N), writeln(N).
:- initialization(main, main).
