;;; Lists of lists, a share of them kept, under a copying collector.   conses.lisp LISTS LENGTH KEEP_PERMILLE
(let* ((given (mapcar #'parse-integer (rest *posix-argv*)))
       (kept '()))
  (dotimes (i (first given))
    (let ((l (loop for j below (second given) collect (+ i (* j 1000003)))))
      (when (< (mod (* i 7919) 1000) (third given)) (push l kept))))
  (format t "~a~%" (length kept)))
