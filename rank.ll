; ModuleID = 'rank_uint16'
source_filename = "<string>"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@_ZN08NumbaEnv3rk311rank_uint16B3v14B58c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAQ4s_2fqErM2IZJFEEM0wQAE10float64_2ayyy10float64_2ay8uint8_2ay = common local_unnamed_addr global ptr null
@_ZN08NumbaEnv5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v15B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx18class_28float64_29 = common local_unnamed_addr global ptr null
@.const.pickledata.ba289d81f05c7020f3477c15734804df65abe209 = internal constant [86 x i8] c"\80\04\95K\00\00\00\00\00\00\00\8C\08builtins\94\8C\0BMemoryError\94\93\94\8C'Allocation failed (probably too large).\94\85\94N\87\94."
@.const.pickledata.ba289d81f05c7020f3477c15734804df65abe209.sha1 = internal constant [20 x i8] c"\BA(\9D\81\F0\\p \F3G|\15sH\04\DFe\AB\E2\09"
@.const.picklebuf.ba289d81f05c7020f3477c15734804df65abe209 = internal constant { ptr, i32, ptr, ptr, i32 } { ptr @.const.pickledata.ba289d81f05c7020f3477c15734804df65abe209, i32 86, ptr @.const.pickledata.ba289d81f05c7020f3477c15734804df65abe209.sha1, ptr null, i32 0 }
@_ZN08NumbaEnv5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v17B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx17class_28uint16_29 = common local_unnamed_addr global ptr null
@.const.pickledata.ba289d81f05c7020f3477c15734804df65abe209.8 = internal constant [86 x i8] c"\80\04\95K\00\00\00\00\00\00\00\8C\08builtins\94\8C\0BMemoryError\94\93\94\8C'Allocation failed (probably too large).\94\85\94N\87\94."
@.const.pickledata.ba289d81f05c7020f3477c15734804df65abe209.sha1.9 = internal constant [20 x i8] c"\BA(\9D\81\F0\\p \F3G|\15sH\04\DFe\AB\E2\09"
@.const.picklebuf.ba289d81f05c7020f3477c15734804df65abe209.7 = internal constant { ptr, i32, ptr, ptr, i32 } { ptr @.const.pickledata.ba289d81f05c7020f3477c15734804df65abe209.8, i32 86, ptr @.const.pickledata.ba289d81f05c7020f3477c15734804df65abe209.sha1.9, ptr null, i32 0 }
@_ZN08NumbaEnv5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v18B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx16class_28uint8_29 = common local_unnamed_addr global ptr null
@_ZN08NumbaEnv5numba2np8arrayobj15_call_allocatorB3v16B42c8tJTC_2fWQA93W1AaAIYBPIqRBFCjDSZRVAJmaQIAEN29typeref_5b_3cclass_20_27numba4core5types8npytypes14Array_27_3e_5dExj = common local_unnamed_addr global ptr null
@_ZN08NumbaEnv5numba2np8arrayobj18_ol_array_allocate12_3clocals_3e4implB2v4B42c8tJTIeFIjxB2IKSgI4CrvQClcaMQ5hEEUSJJgA_3dEN29typeref_5b_3cclass_20_27numba4core5types8npytypes14Array_27_3e_5dExj = common local_unnamed_addr global ptr null
@.const.pickledata.ba289d81f05c7020f3477c15734804df65abe209.18 = internal constant [86 x i8] c"\80\04\95K\00\00\00\00\00\00\00\8C\08builtins\94\8C\0BMemoryError\94\93\94\8C'Allocation failed (probably too large).\94\85\94N\87\94."
@.const.pickledata.ba289d81f05c7020f3477c15734804df65abe209.sha1.19 = internal constant [20 x i8] c"\BA(\9D\81\F0\\p \F3G|\15sH\04\DFe\AB\E2\09"
@.const.picklebuf.ba289d81f05c7020f3477c15734804df65abe209.17 = internal constant { ptr, i32, ptr, ptr, i32 } { ptr @.const.pickledata.ba289d81f05c7020f3477c15734804df65abe209.18, i32 86, ptr @.const.pickledata.ba289d81f05c7020f3477c15734804df65abe209.sha1.19, ptr null, i32 0 }
@_ZN08NumbaEnv5numba7cpython8builtins6ol_min12_3clocals_3e4implB3v19B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dE15StarArgUniTupleIyLi2EE = common local_unnamed_addr global ptr null

define range(i32 0, 2) i32 @_ZN3rk311rank_uint16B3v14B58c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAQ4s_2fqErM2IZJFEEM0wQAE10float64_2ayyy10float64_2ay8uint8_2ay(ptr noalias writeonly captures(none) %retptr, ptr noalias writeonly captures(none) %excinfo, ptr readonly captures(none) %arg.numbers, i64 %arg.at, i64 %arg.stride, i64 %arg.count, ptr readonly captures(none) %arg.cuts, i64 %arg.half, ptr writeonly captures(none) %arg.out, i64 %arg.to) local_unnamed_addr {
entry:
  %.7.i.i.i = tail call ptr @NRT_MemInfo_alloc_aligned(i64 2048, i32 32), !noalias !0
  %.8.i.not.i.not.i.not = icmp eq ptr %.7.i.i.i, null
  br i1 %.8.i.not.i.not.i.not, label %_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v15B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx18class_28float64_29.exit, label %B0.endif.endif.endif.endif.i, !prof !10

B0.endif.endif.endif.endif.i:                     ; preds = %entry
  %.5.i.i = getelementptr i8, ptr %.7.i.i.i, i64 24
  %.6.i.i = load ptr, ptr %.5.i.i, align 8, !noalias !11
  br label %_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v15B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx18class_28float64_29.exit

_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v15B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx18class_28float64_29.exit: ; preds = %entry, %B0.endif.endif.endif.endif.i
  %.28.sroa.7.0 = phi ptr [ %.6.i.i, %B0.endif.endif.endif.endif.i ], [ null, %entry ]
  %excinfo.1.0 = phi ptr [ null, %B0.endif.endif.endif.endif.i ], [ @.const.picklebuf.ba289d81f05c7020f3477c15734804df65abe209, %entry ]
  %.28.sroa.0.0 = phi ptr [ %.7.i.i.i, %B0.endif.endif.endif.endif.i ], [ null, %entry ]
  %0 = icmp eq ptr %.7.i.i.i, null
  br i1 %0, label %B0.if, label %B0.endif, !prof !10

B260.loopexit.loopexit.unr-lcssa:                 ; preds = %B788.if
  %1 = and i64 %umin54, 3
  %lcmp.mod57.not = icmp eq i64 %1, 0
  br i1 %lcmp.mod57.not, label %B260.loopexit, label %B788.if.epil.preheader

B788.if.epil.preheader:                           ; preds = %B260.loopexit.loopexit.unr-lcssa, %B788.if.lr.ph
  %.1302469471.epil.init = phi i64 [ 0, %B788.if.lr.ph ], [ %.1309.3, %B260.loopexit.loopexit.unr-lcssa ]
  %scevgep122 = getelementptr i8, ptr %lsr.iv120, i64 %.1302469471.epil.init
  %2 = shl i64 %.1302469471.epil.init, 1
  %scevgep124 = getelementptr i8, ptr %.71.sroa.7.0, i64 %2
  br label %B788.if.epil

B788.if.epil:                                     ; preds = %B788.if.epil, %B788.if.epil.preheader
  %epil.iter56 = phi i64 [ 0, %B788.if.epil.preheader ], [ %epil.iter56.next, %B788.if.epil ]
  %3 = shl nuw nsw i64 %epil.iter56, 1
  %scevgep125 = getelementptr i8, ptr %scevgep124, i64 %3
  %.1360.epil = load i16, ptr %scevgep125, align 2
  %.1366.epil = trunc i16 %.1360.epil to i8
  %scevgep123 = getelementptr i8, ptr %scevgep122, i64 %epil.iter56
  store i8 %.1366.epil, ptr %scevgep123, align 1
  %epil.iter56.next = add i64 %epil.iter56, 1
  %epil.iter56.cmp.not = icmp eq i64 %19, %epil.iter56.next
  br i1 %epil.iter56.cmp.not, label %B260.loopexit, label %B788.if.epil, !llvm.loop !12

B260.loopexit:                                    ; preds = %B788.if.epil, %B260.loopexit.loopexit.unr-lcssa, %B758
  %indvar.next = add i64 %indvar, 1
  %scevgep = getelementptr i8, ptr %lsr.iv, i64 %12
  %lsr.iv.next = add i64 %lsr.iv74, -256
  %scevgep111 = getelementptr i8, ptr %lsr.iv110, i64 256
  %scevgep121 = getelementptr i8, ptr %lsr.iv120, i64 256
  %.234 = icmp sgt i64 %.233475511, 1
  br i1 %.234, label %B262.if, label %B832

B446:                                             ; preds = %B446.preheader, %B684
  %s.2.1 = phi i64 [ %.1202, %B684 ], [ %arg.half, %B446.preheader ]
  %4 = getelementptr double, ptr %arg.cuts, i64 %s.2.1
  br label %B486.if

B684:                                             ; preds = %B592.if
  %.1202 = lshr i64 %s.2.1, 1
  %.1205.not = icmp eq i64 %.1202, 0
  br i1 %.1205.not, label %B758, label %B446

B758:                                             ; preds = %B684, %.722.endif.preheader
  %.1296470.not = icmp eq i64 %arg.count, %.240476510
  br i1 %.1296470.not, label %B260.loopexit, label %B788.if.lr.ph

B788.if.lr.ph:                                    ; preds = %B758
  %5 = icmp ult i64 %28, 3
  br i1 %5, label %B788.if.epil.preheader, label %B788.if.lr.ph.new

B788.if.lr.ph.new:                                ; preds = %B788.if.lr.ph
  br label %B788.if

common.ret:                                       ; preds = %B0.endif.endif.if, %B0.endif.if, %B0.if, %B832
  %common.ret.op = phi i32 [ 0, %B832 ], [ 1, %B0.if ], [ 1, %B0.endif.if ], [ 1, %B0.endif.endif.if ]
  ret i32 %common.ret.op

B832:                                             ; preds = %B260.loopexit, %B0.endif.endif.endif
  tail call void @NRT_decref(ptr %.28.sroa.0.0)
  tail call void @NRT_decref(ptr %.112.sroa.0.0)
  tail call void @NRT_decref(ptr %.71.sroa.0.0)
  store ptr null, ptr %retptr, align 8
  br label %common.ret

B0.if:                                            ; preds = %_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v15B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx18class_28float64_29.exit
  store ptr %excinfo.1.0, ptr %excinfo, align 8
  br label %common.ret

B0.endif:                                         ; preds = %_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v15B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx18class_28float64_29.exit
  %.7.i.i.i6 = tail call ptr @NRT_MemInfo_alloc_aligned(i64 512, i32 32), !noalias !14
  %.8.i.not.i.not.i7.not = icmp eq ptr %.7.i.i.i6, null
  br i1 %.8.i.not.i.not.i7.not, label %_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v17B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx17class_28uint16_29.exit, label %B0.endif.endif.endif.endif.i8, !prof !10

B0.endif.endif.endif.endif.i8:                    ; preds = %B0.endif
  %.5.i.i9 = getelementptr i8, ptr %.7.i.i.i6, i64 24
  %.6.i.i10 = load ptr, ptr %.5.i.i9, align 8, !noalias !24
  br label %_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v17B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx17class_28uint16_29.exit

_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v17B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx17class_28uint16_29.exit: ; preds = %B0.endif, %B0.endif.endif.endif.endif.i8
  %.71.sroa.0.0 = phi ptr [ %.7.i.i.i6, %B0.endif.endif.endif.endif.i8 ], [ null, %B0.endif ]
  %.71.sroa.7.0 = phi ptr [ %.6.i.i10, %B0.endif.endif.endif.endif.i8 ], [ null, %B0.endif ]
  %.71.sroa.9.0 = phi i64 [ 512, %B0.endif.endif.endif.endif.i8 ], [ 0, %B0.endif ]
  %excinfo.2.0 = phi ptr [ null, %B0.endif.endif.endif.endif.i8 ], [ @.const.picklebuf.ba289d81f05c7020f3477c15734804df65abe209.7, %B0.endif ]
  %6 = icmp eq ptr %.7.i.i.i6, null
  br i1 %6, label %B0.endif.if, label %B0.endif.endif, !prof !10

B0.endif.if:                                      ; preds = %_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v17B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx17class_28uint16_29.exit
  store ptr %excinfo.2.0, ptr %excinfo, align 8
  br label %common.ret

B0.endif.endif:                                   ; preds = %_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v17B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx17class_28uint16_29.exit
  %.7.i.i.i19 = tail call ptr @NRT_MemInfo_alloc_aligned(i64 256, i32 32), !noalias !25
  %.8.i.not.i.not.i20.not = icmp eq ptr %.7.i.i.i19, null
  br i1 %.8.i.not.i.not.i20.not, label %_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v18B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx16class_28uint8_29.exit, label %B0.endif.endif.endif.endif.i21, !prof !10

B0.endif.endif.endif.endif.i21:                   ; preds = %B0.endif.endif
  %.5.i.i22 = getelementptr i8, ptr %.7.i.i.i19, i64 24
  %.6.i.i23 = load ptr, ptr %.5.i.i22, align 8, !noalias !35
  br label %_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v18B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx16class_28uint8_29.exit

_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v18B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx16class_28uint8_29.exit: ; preds = %B0.endif.endif, %B0.endif.endif.endif.endif.i21
  %.112.sroa.0.0 = phi ptr [ %.7.i.i.i19, %B0.endif.endif.endif.endif.i21 ], [ null, %B0.endif.endif ]
  %.112.sroa.7.0 = phi ptr [ %.6.i.i23, %B0.endif.endif.endif.endif.i21 ], [ null, %B0.endif.endif ]
  %excinfo.3.0 = phi ptr [ null, %B0.endif.endif.endif.endif.i21 ], [ @.const.picklebuf.ba289d81f05c7020f3477c15734804df65abe209.17, %B0.endif.endif ]
  %7 = icmp eq ptr %.7.i.i.i19, null
  br i1 %7, label %B0.endif.endif.if, label %B0.endif.endif.endif, !prof !10

B0.endif.endif.if:                                ; preds = %_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v18B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx16class_28uint8_29.exit
  store ptr %excinfo.3.0, ptr %excinfo, align 8
  br label %common.ret

B0.endif.endif.endif:                             ; preds = %_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v18B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx16class_28uint8_29.exit
  %8 = add nuw i64 %arg.count, 255
  %.212 = lshr i64 %8, 8
  %.191.inv = icmp slt i64 %arg.count, 1
  %.234501.not522 = icmp eq i64 %.212, 0
  %.234501.not = select i1 %.191.inv, i1 true, i1 %.234501.not522
  br i1 %.234501.not, label %B832, label %B262.if.lr.ph

B262.if.lr.ph:                                    ; preds = %B0.endif.endif.endif
  %9 = getelementptr double, ptr %arg.numbers, i64 %arg.at
  %10 = getelementptr i8, ptr %arg.out, i64 %arg.to
  %11 = mul i64 %arg.stride, 24
  %12 = shl i64 %arg.stride, 11
  %13 = shl i64 %arg.stride, 5
  %14 = shl i64 %arg.stride, 4
  %15 = shl i64 %arg.at, 3
  %scevgep78 = getelementptr i8, ptr %arg.numbers, i64 %15
  %16 = shl i64 %arg.stride, 3
  %17 = add i64 %arg.to, 3
  %scevgep109 = getelementptr i8, ptr %arg.out, i64 %17
  br label %B262.if

B262.if:                                          ; preds = %B262.if.lr.ph, %B260.loopexit
  %lsr.iv120 = phi ptr [ %10, %B262.if.lr.ph ], [ %scevgep121, %B260.loopexit ]
  %lsr.iv110 = phi ptr [ %scevgep109, %B262.if.lr.ph ], [ %scevgep111, %B260.loopexit ]
  %lsr.iv74 = phi i64 [ %arg.count, %B262.if.lr.ph ], [ %lsr.iv.next, %B260.loopexit ]
  %lsr.iv = phi ptr [ %9, %B262.if.lr.ph ], [ %scevgep, %B260.loopexit ]
  %indvar = phi i64 [ 0, %B262.if.lr.ph ], [ %indvar.next, %B260.loopexit ]
  %.233475511 = phi i64 [ %.212, %B262.if.lr.ph ], [ %.243, %B260.loopexit ]
  %.240476510 = phi i64 [ 0, %B262.if.lr.ph ], [ %.247, %B260.loopexit ]
  %umin126 = call i64 @llvm.umin.i64(i64 %lsr.iv74, i64 256)
  %18 = trunc i64 %umin126 to i2
  %19 = zext i2 %18 to i64
  %umin119 = call i64 @llvm.umin.i64(i64 %lsr.iv74, i64 256)
  %20 = lshr i64 %umin119, 2
  %21 = shl nuw nsw i64 %20, 2
  %umin82 = call i64 @llvm.umin.i64(i64 %lsr.iv74, i64 256)
  %22 = trunc i64 %umin82 to i2
  %23 = zext i2 %22 to i64
  %umin75 = call i64 @llvm.umin.i64(i64 %lsr.iv74, i64 256)
  %24 = lshr i64 %umin75, 2
  %25 = shl nuw nsw i64 %24, 2
  %26 = shl i64 %indvar, 8
  %27 = sub i64 %arg.count, %26
  %umin54 = tail call i64 @llvm.umin.i64(i64 %27, i64 256)
  %28 = add nsw i64 %umin54, -1
  %29 = shl i64 %indvar, 8
  %30 = sub i64 %arg.count, %29
  %umin = tail call i64 @llvm.umin.i64(i64 %30, i64 256)
  %.243 = add nsw i64 %.233475511, -1
  %.247 = add nuw i64 %.240476510, 256
  %.347.not = icmp eq i64 %arg.count, %.240476510
  br i1 %.347.not, label %.722.endif.preheader, label %B344.if.preheader

B344.if.preheader:                                ; preds = %B262.if
  %31 = add nsw i64 %umin, -1
  %32 = icmp ult i64 %31, 3
  br i1 %32, label %B344.if.epil.preheader, label %B344.if.preheader.new

B344.if.preheader.new:                            ; preds = %B344.if.preheader
  br label %B344.if

B344.if:                                          ; preds = %B344.if, %B344.if.preheader.new
  %lsr.iv61 = phi ptr [ %scevgep62, %B344.if ], [ %lsr.iv, %B344.if.preheader.new ]
  %.395443445 = phi i64 [ 0, %B344.if.preheader.new ], [ %.402.3, %B344.if ]
  %.435 = load double, ptr %lsr.iv61, align 8
  %sunkaddr = mul i64 %.395443445, 8
  %sunkaddr127 = getelementptr i8, ptr %.28.sroa.7.0, i64 %sunkaddr
  store double %.435, ptr %sunkaddr127, align 8
  %sunkaddr128 = mul i64 %arg.stride, 8
  %sunkaddr129 = getelementptr i8, ptr %lsr.iv61, i64 %sunkaddr128
  %.435.1 = load double, ptr %sunkaddr129, align 8
  %sunkaddr130 = mul i64 %.395443445, 8
  %sunkaddr131 = getelementptr i8, ptr %.28.sroa.7.0, i64 %sunkaddr130
  %sunkaddr132 = getelementptr i8, ptr %sunkaddr131, i64 8
  store double %.435.1, ptr %sunkaddr132, align 8
  %scevgep72 = getelementptr i8, ptr %lsr.iv61, i64 %14
  %.435.2 = load double, ptr %scevgep72, align 8
  %sunkaddr133 = mul i64 %.395443445, 8
  %sunkaddr134 = getelementptr i8, ptr %.28.sroa.7.0, i64 %sunkaddr133
  %sunkaddr135 = getelementptr i8, ptr %sunkaddr134, i64 16
  store double %.435.2, ptr %sunkaddr135, align 8
  %.402.3 = add nuw i64 %.395443445, 4
  %scevgep63 = getelementptr i8, ptr %lsr.iv61, i64 %11
  %.435.3 = load double, ptr %scevgep63, align 8
  %sunkaddr136 = mul i64 %.395443445, 8
  %sunkaddr137 = getelementptr i8, ptr %.28.sroa.7.0, i64 %sunkaddr136
  %sunkaddr138 = getelementptr i8, ptr %sunkaddr137, i64 24
  store double %.435.3, ptr %sunkaddr138, align 8
  %scevgep62 = getelementptr i8, ptr %lsr.iv61, i64 %13
  %niter.ncmp.3 = icmp eq i64 %25, %.402.3
  br i1 %niter.ncmp.3, label %.722.endif.preheader.loopexit.unr-lcssa, label %B344.if

.722.endif.preheader.loopexit.unr-lcssa:          ; preds = %B344.if
  %33 = and i64 %umin, 3
  %lcmp.mod.not = icmp eq i64 %33, 0
  br i1 %lcmp.mod.not, label %.722.endif.preheader, label %B344.if.epil.preheader

B344.if.epil.preheader:                           ; preds = %.722.endif.preheader.loopexit.unr-lcssa, %B344.if.preheader
  %.395443445.epil.init = phi i64 [ 0, %B344.if.preheader ], [ %.402.3, %.722.endif.preheader.loopexit.unr-lcssa ]
  %34 = shl i64 %.395443445.epil.init, 3
  %scevgep76 = getelementptr i8, ptr %.28.sroa.7.0, i64 %34
  %35 = add i64 %.395443445.epil.init, %.240476510
  %36 = mul i64 %16, %35
  %scevgep79 = getelementptr i8, ptr %scevgep78, i64 %36
  br label %B344.if.epil

B344.if.epil:                                     ; preds = %B344.if.epil, %B344.if.epil.preheader
  %lsr.iv80 = phi ptr [ %scevgep81, %B344.if.epil ], [ %scevgep79, %B344.if.epil.preheader ]
  %epil.iter = phi i64 [ %epil.iter.next, %B344.if.epil ], [ 0, %B344.if.epil.preheader ]
  %.435.epil = load double, ptr %lsr.iv80, align 8
  %37 = shl nuw nsw i64 %epil.iter, 3
  %scevgep77 = getelementptr i8, ptr %scevgep76, i64 %37
  store double %.435.epil, ptr %scevgep77, align 8
  %epil.iter.next = add i64 %epil.iter, 1
  %scevgep81 = getelementptr i8, ptr %lsr.iv80, i64 %16
  %epil.iter.cmp.not = icmp eq i64 %23, %epil.iter.next
  br i1 %epil.iter.cmp.not, label %.722.endif.preheader, label %B344.if.epil, !llvm.loop !36

.722.endif.preheader:                             ; preds = %B344.if.epil, %.722.endif.preheader.loopexit.unr-lcssa, %B262.if
  %38 = icmp eq i64 %arg.half, 0
  tail call void @llvm.memset.p0.i64(ptr align 2 %.71.sroa.7.0, i8 0, i64 %.71.sroa.9.0, i1 false)
  br i1 %38, label %B758, label %B446.preheader

B446.preheader:                                   ; preds = %.722.endif.preheader
  br label %B446

B486.if:                                          ; preds = %B486.if, %B446
  %.863451453 = phi i64 [ 0, %B446 ], [ %.870.1, %B486.if ]
  %sunkaddr139 = mul i64 %.863451453, 2
  %sunkaddr140 = getelementptr i8, ptr %.71.sroa.7.0, i64 %sunkaddr139
  %.921 = load i16, ptr %sunkaddr140, align 2
  %.923 = zext i16 %.921 to i64
  %.926 = getelementptr double, ptr %4, i64 %.923
  %.927 = load double, ptr %.926, align 8
  %sunkaddr141 = mul i64 %.863451453, 8
  %sunkaddr142 = getelementptr i8, ptr %.28.sroa.7.0, i64 %sunkaddr141
  %.954 = load double, ptr %sunkaddr142, align 8
  %.955 = fcmp olt double %.927, %.954
  %.983 = zext i1 %.955 to i8
  %sunkaddr143 = getelementptr i8, ptr %.112.sroa.7.0, i64 %.863451453
  store i8 %.983, ptr %sunkaddr143, align 1
  %.870.1 = add nuw nsw i64 %.863451453, 2
  %sunkaddr144 = mul i64 %.863451453, 2
  %sunkaddr145 = getelementptr i8, ptr %.71.sroa.7.0, i64 %sunkaddr144
  %sunkaddr146 = getelementptr i8, ptr %sunkaddr145, i64 2
  %.921.1 = load i16, ptr %sunkaddr146, align 2
  %.923.1 = zext i16 %.921.1 to i64
  %.926.1 = getelementptr double, ptr %4, i64 %.923.1
  %.927.1 = load double, ptr %.926.1, align 8
  %sunkaddr147 = mul i64 %.863451453, 8
  %sunkaddr148 = getelementptr i8, ptr %.28.sroa.7.0, i64 %sunkaddr147
  %sunkaddr149 = getelementptr i8, ptr %sunkaddr148, i64 8
  %.954.1 = load double, ptr %sunkaddr149, align 8
  %.955.1 = fcmp olt double %.927.1, %.954.1
  %.983.1 = zext i1 %.955.1 to i8
  %sunkaddr150 = getelementptr i8, ptr %.112.sroa.7.0, i64 %.863451453
  %sunkaddr151 = getelementptr i8, ptr %sunkaddr150, i64 1
  store i8 %.983.1, ptr %sunkaddr151, align 1
  %exitcond532.not.1 = icmp eq i64 %.870.1, 256
  br i1 %exitcond532.not.1, label %B592.if.preheader, label %B486.if

B592.if.preheader:                                ; preds = %B486.if
  br label %B592.if

B592.if:                                          ; preds = %B592.if.preheader, %B592.if
  %.1075458460 = phi i64 [ %.1082.1, %B592.if ], [ 0, %B592.if.preheader ]
  %sunkaddr152 = mul i64 %.1075458460, 2
  %sunkaddr153 = getelementptr i8, ptr %.71.sroa.7.0, i64 %sunkaddr152
  %.1133 = load i16, ptr %sunkaddr153, align 2
  %sunkaddr154 = getelementptr i8, ptr %.112.sroa.7.0, i64 %.1075458460
  %.1160 = load i8, ptr %sunkaddr154, align 1
  %.1163 = zext i8 %.1160 to i64
  %.1165 = mul i64 %s.2.1, %.1163
  %39 = trunc i64 %.1165 to i16
  %.1194 = add i16 %.1133, %39
  store i16 %.1194, ptr %sunkaddr153, align 2
  %.1082.1 = add nuw nsw i64 %.1075458460, 2
  %sunkaddr155 = mul i64 %.1075458460, 2
  %sunkaddr156 = getelementptr i8, ptr %.71.sroa.7.0, i64 %sunkaddr155
  %sunkaddr157 = getelementptr i8, ptr %sunkaddr156, i64 2
  %.1133.1 = load i16, ptr %sunkaddr157, align 2
  %sunkaddr158 = getelementptr i8, ptr %.112.sroa.7.0, i64 %.1075458460
  %sunkaddr159 = getelementptr i8, ptr %sunkaddr158, i64 1
  %.1160.1 = load i8, ptr %sunkaddr159, align 1
  %.1163.1 = zext i8 %.1160.1 to i64
  %.1165.1 = mul i64 %s.2.1, %.1163.1
  %40 = trunc i64 %.1165.1 to i16
  %.1194.1 = add i16 %.1133.1, %40
  store i16 %.1194.1, ptr %sunkaddr157, align 2
  %exitcond533.not.1 = icmp eq i64 %.1082.1, 256
  br i1 %exitcond533.not.1, label %B684, label %B592.if

B788.if:                                          ; preds = %B788.if, %B788.if.lr.ph.new
  %.1302469471 = phi i64 [ 0, %B788.if.lr.ph.new ], [ %.1309.3, %B788.if ]
  %sunkaddr160 = mul i64 %.1302469471, 2
  %sunkaddr161 = getelementptr i8, ptr %.71.sroa.7.0, i64 %sunkaddr160
  %.1360 = load i16, ptr %sunkaddr161, align 2
  %.1366 = trunc i16 %.1360 to i8
  %scevgep117 = getelementptr i8, ptr %lsr.iv110, i64 %.1302469471
  %scevgep118 = getelementptr i8, ptr %scevgep117, i64 -3
  store i8 %.1366, ptr %scevgep118, align 1
  %sunkaddr162 = mul i64 %.1302469471, 2
  %sunkaddr163 = getelementptr i8, ptr %.71.sroa.7.0, i64 %sunkaddr162
  %sunkaddr164 = getelementptr i8, ptr %sunkaddr163, i64 2
  %.1360.1 = load i16, ptr %sunkaddr164, align 2
  %.1366.1 = trunc i16 %.1360.1 to i8
  %scevgep115 = getelementptr i8, ptr %lsr.iv110, i64 %.1302469471
  %scevgep116 = getelementptr i8, ptr %scevgep115, i64 -2
  store i8 %.1366.1, ptr %scevgep116, align 1
  %sunkaddr165 = mul i64 %.1302469471, 2
  %sunkaddr166 = getelementptr i8, ptr %.71.sroa.7.0, i64 %sunkaddr165
  %sunkaddr167 = getelementptr i8, ptr %sunkaddr166, i64 4
  %.1360.2 = load i16, ptr %sunkaddr167, align 2
  %.1366.2 = trunc i16 %.1360.2 to i8
  %scevgep113 = getelementptr i8, ptr %lsr.iv110, i64 %.1302469471
  %scevgep114 = getelementptr i8, ptr %scevgep113, i64 -1
  store i8 %.1366.2, ptr %scevgep114, align 1
  %.1309.3 = add nuw i64 %.1302469471, 4
  %sunkaddr168 = mul i64 %.1302469471, 2
  %sunkaddr169 = getelementptr i8, ptr %.71.sroa.7.0, i64 %sunkaddr168
  %sunkaddr170 = getelementptr i8, ptr %sunkaddr169, i64 6
  %.1360.3 = load i16, ptr %sunkaddr170, align 2
  %.1366.3 = trunc i16 %.1360.3 to i8
  %scevgep112 = getelementptr i8, ptr %lsr.iv110, i64 %.1302469471
  store i8 %.1366.3, ptr %scevgep112, align 1
  %niter60.ncmp.3 = icmp eq i64 %21, %.1309.3
  br i1 %niter60.ncmp.3, label %B260.loopexit.loopexit.unr-lcssa, label %B788.if
}

; Function Attrs: mustprogress nocallback nofree nounwind willreturn memory(argmem: write)
declare void @llvm.memset.p0.i64(ptr writeonly captures(none), i8, i64, i1 immarg) #0

declare noalias ptr @NRT_MemInfo_alloc_aligned(i64, i32) local_unnamed_addr

; Function Attrs: mustprogress nocallback nocreateundeforpoison nofree nosync nounwind speculatable willreturn memory(none)
declare i64 @llvm.umin.i64(i64, i64) #1

; Function Attrs: noinline
define linkonce_odr void @NRT_decref(ptr %.1) local_unnamed_addr #2 {
.3:
  %.4 = icmp eq ptr %.1, null
  br i1 %.4, label %common.ret1, label %.3.endif, !prof !37

common.ret1:                                      ; preds = %.3, %.3.endif
  ret void

.3.endif:                                         ; preds = %.3
  fence release
  %0 = tail call i8 @llvm.x86.atomic.sub.cc.i64(ptr nonnull %.1, i64 1, i32 4)
  %1 = trunc i8 %0 to i1
  br i1 %1, label %.3.endif.if, label %common.ret1, !prof !37

.3.endif.if:                                      ; preds = %.3.endif
  fence acquire
  tail call void @NRT_MemInfo_call_dtor(ptr nonnull %.1)
  ret void
}

; Function Attrs: nounwind
declare i8 @llvm.x86.atomic.sub.cc.i64(ptr, i64, i32 immarg) #3

declare void @NRT_MemInfo_call_dtor(ptr) local_unnamed_addr

; Function Attrs: nocallback nofree nosync nounwind willreturn memory(inaccessiblemem: write)
declare void @llvm.assume(i1 noundef) #4

attributes #0 = { mustprogress nocallback nofree nounwind willreturn memory(argmem: write) }
attributes #1 = { mustprogress nocallback nocreateundeforpoison nofree nosync nounwind speculatable willreturn memory(none) }
attributes #2 = { noinline }
attributes #3 = { nounwind }
attributes #4 = { nocallback nofree nosync nounwind willreturn memory(inaccessiblemem: write) }

!0 = !{!1, !3, !4, !6, !7, !9}
!1 = distinct !{!1, !2, !"_ZN5numba2np8arrayobj18_ol_array_allocate12_3clocals_3e4implB2v4B42c8tJTIeFIjxB2IKSgI4CrvQClcaMQ5hEEUSJJgA_3dEN29typeref_5b_3cclass_20_27numba4core5types8npytypes14Array_27_3e_5dExj: %retptr"}
!2 = distinct !{!2, !"_ZN5numba2np8arrayobj18_ol_array_allocate12_3clocals_3e4implB2v4B42c8tJTIeFIjxB2IKSgI4CrvQClcaMQ5hEEUSJJgA_3dEN29typeref_5b_3cclass_20_27numba4core5types8npytypes14Array_27_3e_5dExj"}
!3 = distinct !{!3, !2, !"_ZN5numba2np8arrayobj18_ol_array_allocate12_3clocals_3e4implB2v4B42c8tJTIeFIjxB2IKSgI4CrvQClcaMQ5hEEUSJJgA_3dEN29typeref_5b_3cclass_20_27numba4core5types8npytypes14Array_27_3e_5dExj: %excinfo"}
!4 = distinct !{!4, !5, !"_ZN5numba2np8arrayobj15_call_allocatorB3v16B42c8tJTC_2fWQA93W1AaAIYBPIqRBFCjDSZRVAJmaQIAEN29typeref_5b_3cclass_20_27numba4core5types8npytypes14Array_27_3e_5dExj: %retptr"}
!5 = distinct !{!5, !"_ZN5numba2np8arrayobj15_call_allocatorB3v16B42c8tJTC_2fWQA93W1AaAIYBPIqRBFCjDSZRVAJmaQIAEN29typeref_5b_3cclass_20_27numba4core5types8npytypes14Array_27_3e_5dExj"}
!6 = distinct !{!6, !5, !"_ZN5numba2np8arrayobj15_call_allocatorB3v16B42c8tJTC_2fWQA93W1AaAIYBPIqRBFCjDSZRVAJmaQIAEN29typeref_5b_3cclass_20_27numba4core5types8npytypes14Array_27_3e_5dExj: %excinfo"}
!7 = distinct !{!7, !8, !"_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v15B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx18class_28float64_29: %retptr"}
!8 = distinct !{!8, !"_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v15B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx18class_28float64_29"}
!9 = distinct !{!9, !8, !"_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v15B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx18class_28float64_29: %excinfo"}
!10 = !{!"branch_weights", i32 1, i32 49}
!11 = !{!7, !9}
!12 = distinct !{!12, !13}
!13 = !{!"llvm.loop.unroll.disable"}
!14 = !{!15, !17, !18, !20, !21, !23}
!15 = distinct !{!15, !16, !"_ZN5numba2np8arrayobj18_ol_array_allocate12_3clocals_3e4implB2v4B42c8tJTIeFIjxB2IKSgI4CrvQClcaMQ5hEEUSJJgA_3dEN29typeref_5b_3cclass_20_27numba4core5types8npytypes14Array_27_3e_5dExj: %retptr"}
!16 = distinct !{!16, !"_ZN5numba2np8arrayobj18_ol_array_allocate12_3clocals_3e4implB2v4B42c8tJTIeFIjxB2IKSgI4CrvQClcaMQ5hEEUSJJgA_3dEN29typeref_5b_3cclass_20_27numba4core5types8npytypes14Array_27_3e_5dExj"}
!17 = distinct !{!17, !16, !"_ZN5numba2np8arrayobj18_ol_array_allocate12_3clocals_3e4implB2v4B42c8tJTIeFIjxB2IKSgI4CrvQClcaMQ5hEEUSJJgA_3dEN29typeref_5b_3cclass_20_27numba4core5types8npytypes14Array_27_3e_5dExj: %excinfo"}
!18 = distinct !{!18, !19, !"_ZN5numba2np8arrayobj15_call_allocatorB3v16B42c8tJTC_2fWQA93W1AaAIYBPIqRBFCjDSZRVAJmaQIAEN29typeref_5b_3cclass_20_27numba4core5types8npytypes14Array_27_3e_5dExj: %retptr"}
!19 = distinct !{!19, !"_ZN5numba2np8arrayobj15_call_allocatorB3v16B42c8tJTC_2fWQA93W1AaAIYBPIqRBFCjDSZRVAJmaQIAEN29typeref_5b_3cclass_20_27numba4core5types8npytypes14Array_27_3e_5dExj"}
!20 = distinct !{!20, !19, !"_ZN5numba2np8arrayobj15_call_allocatorB3v16B42c8tJTC_2fWQA93W1AaAIYBPIqRBFCjDSZRVAJmaQIAEN29typeref_5b_3cclass_20_27numba4core5types8npytypes14Array_27_3e_5dExj: %excinfo"}
!21 = distinct !{!21, !22, !"_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v17B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx17class_28uint16_29: %retptr"}
!22 = distinct !{!22, !"_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v17B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx17class_28uint16_29"}
!23 = distinct !{!23, !22, !"_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v17B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx17class_28uint16_29: %excinfo"}
!24 = !{!21, !23}
!25 = !{!26, !28, !29, !31, !32, !34}
!26 = distinct !{!26, !27, !"_ZN5numba2np8arrayobj18_ol_array_allocate12_3clocals_3e4implB2v4B42c8tJTIeFIjxB2IKSgI4CrvQClcaMQ5hEEUSJJgA_3dEN29typeref_5b_3cclass_20_27numba4core5types8npytypes14Array_27_3e_5dExj: %retptr"}
!27 = distinct !{!27, !"_ZN5numba2np8arrayobj18_ol_array_allocate12_3clocals_3e4implB2v4B42c8tJTIeFIjxB2IKSgI4CrvQClcaMQ5hEEUSJJgA_3dEN29typeref_5b_3cclass_20_27numba4core5types8npytypes14Array_27_3e_5dExj"}
!28 = distinct !{!28, !27, !"_ZN5numba2np8arrayobj18_ol_array_allocate12_3clocals_3e4implB2v4B42c8tJTIeFIjxB2IKSgI4CrvQClcaMQ5hEEUSJJgA_3dEN29typeref_5b_3cclass_20_27numba4core5types8npytypes14Array_27_3e_5dExj: %excinfo"}
!29 = distinct !{!29, !30, !"_ZN5numba2np8arrayobj15_call_allocatorB3v16B42c8tJTC_2fWQA93W1AaAIYBPIqRBFCjDSZRVAJmaQIAEN29typeref_5b_3cclass_20_27numba4core5types8npytypes14Array_27_3e_5dExj: %retptr"}
!30 = distinct !{!30, !"_ZN5numba2np8arrayobj15_call_allocatorB3v16B42c8tJTC_2fWQA93W1AaAIYBPIqRBFCjDSZRVAJmaQIAEN29typeref_5b_3cclass_20_27numba4core5types8npytypes14Array_27_3e_5dExj"}
!31 = distinct !{!31, !30, !"_ZN5numba2np8arrayobj15_call_allocatorB3v16B42c8tJTC_2fWQA93W1AaAIYBPIqRBFCjDSZRVAJmaQIAEN29typeref_5b_3cclass_20_27numba4core5types8npytypes14Array_27_3e_5dExj: %excinfo"}
!32 = distinct !{!32, !33, !"_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v18B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx16class_28uint8_29: %retptr"}
!33 = distinct !{!33, !"_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v18B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx16class_28uint8_29"}
!34 = distinct !{!34, !33, !"_ZN5numba2np8arrayobj11ol_np_empty12_3clocals_3e4implB3v18B54c8tJTIeFIjxB2IKSgI4CrvQCk0Z4yRYcWsBAw4hWqFpgsIBZmgA_3dEx16class_28uint8_29: %excinfo"}
!35 = !{!32, !34}
!36 = distinct !{!36, !13}
!37 = !{!"branch_weights", i32 1, i32 99}
