using System.Globalization;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Operators that TorchSharp lacks, by the names and arguments of their schemas, through libtorch's stable C ABI.</summary>
/// <remarks>Dispatched like TorchSharp's own: recorded for gradients, on any device. Results belong to the caller's dispose
/// scope.</remarks>
internal static unsafe class Aten
{
    // The libtorch whose conventions this file follows, 2.10.
    private const ulong Abi = 0x020A000000000000;
    private const int Fatal = 3;

    private static readonly delegate* unmanaged[Cdecl]<byte*, byte*, ulong*, ulong, int> CallDispatcher =
        (delegate* unmanaged[Cdecl]<byte*, byte*, ulong*, ulong, int>)TorchLibrary.Export("torch_call_dispatcher");

    private static readonly delegate* unmanaged[Cdecl]<nint, nint*, int> NewTensorHandle =
        (delegate* unmanaged[Cdecl]<nint, nint*, int>)TorchLibrary.Export("aoti_torch_new_tensor_handle");

    private static readonly delegate* unmanaged[Cdecl]<nuint, nint*, int> NewList =
        (delegate* unmanaged[Cdecl]<nuint, nint*, int>)TorchLibrary.Export("torch_new_list_reserve_size");

    private static readonly delegate* unmanaged[Cdecl]<nint, ulong, int> ListPushBack =
        (delegate* unmanaged[Cdecl]<nint, ulong, int>)TorchLibrary.Export("torch_list_push_back");

    private static readonly delegate* unmanaged[Cdecl]<nint, nuint, ulong*, int> ListGetItem =
        (delegate* unmanaged[Cdecl]<nint, nuint, ulong*, int>)TorchLibrary.Export("torch_list_get_item");

    private static readonly delegate* unmanaged[Cdecl]<nint, int> DeleteList =
        (delegate* unmanaged[Cdecl]<nint, int>)TorchLibrary.Export("torch_delete_list");

    private static readonly delegate* unmanaged[Cdecl]<nint, int> DeleteTensor =
        (delegate* unmanaged[Cdecl]<nint, int>)TorchLibrary.Export("aoti_torch_delete_tensor_object");

    // Since libtorch 2.13.
    private static readonly delegate* unmanaged[Cdecl]<byte*> LastMessage =
        (delegate* unmanaged[Cdecl]<byte*>)TorchLibrary.OptionalExport("torch_exception_get_what_without_backtrace");

    // libtorch logs what goes wrong in its C ABI, which here becomes an exception.
    private static readonly int* LogLevel = (int*)TorchLibrary.OptionalExport("FLAGS_caffe2_log_level");
    private static readonly int InitialLogLevel = LogLevel is null ? 0 : *LogLevel;

    public static Tensor scaled_dot_product_attention(
        Tensor query, Tensor key, Tensor value, Tensor? attn_mask = null, double dropout_p = 0, bool is_causal = false,
        double? scale = null, bool enable_gqa = false)
    {
        ulong result;
        ReadOnlySpan<Argument> arguments = [query, key, value, Optional(attn_mask), dropout_p, is_causal, Optional(scale), enable_gqa];
        if (!Invoke("aten::scaled_dot_product_attention"u8, "\0"u8, &result, 1, arguments))
            throw Failure("aten::scaled_dot_product_attention", arguments, () =>
                Attend(query, key, value, attn_mask, dropout_p, is_causal, enable_gqa));
        return Tensor.UnsafeCreateTensor((nint)result);
    }

    /// <summary>The result, without the weights that libtorch returns beside it.</summary>
    public static Tensor _scaled_dot_product_attention_math(
        Tensor query, Tensor key, Tensor value, Tensor? attn_mask = null, double dropout_p = 0, bool is_causal = false,
        double? scale = null, bool enable_gqa = false)
    {
        ulong* results = stackalloc ulong[2];
        ReadOnlySpan<Argument> arguments =
            [query, key, value, Optional(attn_mask), dropout_p, is_causal, Optional((Tensor?)null), Optional(scale), enable_gqa];
        if (!Invoke("aten::_scaled_dot_product_attention_math"u8, "\0"u8, results, 2, arguments))
            throw Failure("aten::_scaled_dot_product_attention_math", arguments, () =>
                Attend(query, key, value, attn_mask, dropout_p, is_causal, enable_gqa));
        Tensor.UnsafeCreateTensor((nint)results[1]).Dispose(); // the weights
        return Tensor.UnsafeCreateTensor((nint)results[0]);
    }

    /// <summary>The at::SDPBackend that <see cref="scaled_dot_product_attention"/> would take; null if none can run.</summary>
    public static long? _fused_sdp_choice(
        Tensor query, Tensor key, Tensor value, Tensor? attn_mask = null, double dropout_p = 0, bool is_causal = false,
        double? scale = null, bool enable_gqa = false)
    {
        ulong result;
        return Invoke("aten::_fused_sdp_choice"u8, "\0"u8, &result, 1,
            [query, key, value, Optional(attn_mask), dropout_p, is_causal, Optional(scale), enable_gqa])
            ? (long)result
            : null;
    }

    public static void _fused_adamw_(
        IReadOnlyList<Tensor> self, IReadOnlyList<Tensor> grads, IReadOnlyList<Tensor> exp_avgs, IReadOnlyList<Tensor> exp_avg_sqs,
        IReadOnlyList<Tensor> max_exp_avg_sqs, IReadOnlyList<Tensor> state_steps, double lr, double beta1, double beta2,
        double weight_decay, double eps, bool amsgrad, bool maximize, Tensor? grad_scale = null, Tensor? found_inf = null)
    {
        ReadOnlySpan<Argument> arguments =
            [
                Many(self), Many(grads), Many(exp_avgs), Many(exp_avg_sqs), Many(max_exp_avg_sqs), Many(state_steps),
                lr, beta1, beta2, weight_decay, eps, amsgrad, maximize, Optional(grad_scale), Optional(found_inf),
            ];
        if (!Invoke("aten::_fused_adamw_"u8, "\0"u8, null, 0, arguments)) throw Failure("aten::_fused_adamw_", arguments, null);
    }

    public static void _fused_sgd_(
        IReadOnlyList<Tensor> self, IReadOnlyList<Tensor> grads, IReadOnlyList<Tensor> momentum_buffer_list, double weight_decay,
        double momentum, double lr, double dampening, bool nesterov, bool maximize, bool is_first_step, Tensor? grad_scale = null,
        Tensor? found_inf = null)
    {
        ReadOnlySpan<Argument> arguments =
            [
                Many(self), Many(grads), Many(momentum_buffer_list), weight_decay, momentum, lr, dampening, nesterov, maximize,
                is_first_step, Optional(grad_scale), Optional(found_inf),
            ];
        if (!Invoke("aten::_fused_sgd_"u8, "\0"u8, null, 0, arguments)) throw Failure("aten::_fused_sgd_", arguments, null);
    }

    public static void _foreach_mul_(IReadOnlyList<Tensor> self, Tensor other)
    {
        ReadOnlySpan<Argument> arguments = [Many(self), other];
        if (!Invoke("aten::_foreach_mul_"u8, "Tensor"u8, null, 0, arguments))
            throw Failure("aten::_foreach_mul_.Tensor", arguments, () => _ = self.Select(tensor => tensor.mul(other)).Last());
    }

    /// <summary>self + weight·(tensors1 − self), in place.</summary>
    public static void _foreach_lerp_(IReadOnlyList<Tensor> self, IReadOnlyList<Tensor> tensors1, IReadOnlyList<Tensor> weights)
    {
        ReadOnlySpan<Argument> arguments = [Many(self), Many(tensors1), Many(weights)];
        if (!Invoke("aten::_foreach_lerp_"u8, "List"u8, null, 0, arguments))
            throw Failure("aten::_foreach_lerp_.List", arguments, () =>
                _ = self.Select((tensor, i) => tensor.lerp(tensors1[i], weights[i])).Last());
    }

    public static void _foreach_copy_(IReadOnlyList<Tensor> self, IReadOnlyList<Tensor> src, bool non_blocking = false)
    {
        ReadOnlySpan<Argument> arguments = [Many(self), Many(src), non_blocking];
        if (!Invoke("aten::_foreach_copy_"u8, "\0"u8, null, 0, arguments))
            throw Failure("aten::_foreach_copy_", arguments, () => _ = self.Select((tensor, i) => tensor.clone().copy_(src[i])).Last());
    }

    public static Tensor rms_norm(Tensor input, ReadOnlySpan<long> normalized_shape, Tensor? weight = null, double? eps = null)
    {
        ulong result;
        long[] shape = normalized_shape.ToArray();
        ReadOnlySpan<Argument> arguments = [input, Many(shape), Optional(weight), Optional(eps)];
        if (!Invoke("aten::rms_norm"u8, "\0"u8, &result, 1, arguments))
            throw Failure("aten::rms_norm", arguments, () => nn.functional.layer_norm(input, shape, weight));
        return Tensor.UnsafeCreateTensor((nint)result);
    }

    public static Tensor embedding(
        Tensor weight, Tensor indices, long padding_idx = -1, bool scale_grad_by_freq = false, bool sparse = false)
    {
        ulong result;
        ReadOnlySpan<Argument> arguments = [weight, indices, padding_idx, scale_grad_by_freq, sparse];
        if (!Invoke("aten::embedding"u8, "\0"u8, &result, 1, arguments))
            throw Failure("aten::embedding", arguments, () => weight.index_select(0, indices.flatten()));
        return Tensor.UnsafeCreateTensor((nint)result);
    }

    /// <summary>The same memory as another type; the last dimension follows its size.</summary>
    public static Tensor view(Tensor self, ScalarType dtype)
    {
        ulong result;
        ReadOnlySpan<Argument> arguments = [self, (long)dtype];
        if (!Invoke("aten::view"u8, "dtype"u8, &result, 1, arguments)) throw Failure("aten::view.dtype", arguments, null);
        return Tensor.UnsafeCreateTensor((nint)result);
    }

    /// <summary>How often a tensor's memory has been written in place.</summary>
    public static long _version(Tensor self)
    {
        ulong result;
        return Invoke("aten::_version"u8, "\0"u8, &result, 1, [self]) ? (long)result : throw Failure("aten::_version", [self], null);
    }

    /// <summary>The same; false for inference tensors, which do not count.</summary>
    public static bool TryVersion(Tensor self, out long version)
    {
        ulong result = 0;
        bool counts = Invoke("aten::_version"u8, "\0"u8, &result, 1, [self]);
        version = (long)result;
        return counts;
    }

    /// <summary>Gives a tensor the memory, shape and type of another.</summary>
    public static void set_data(Tensor self, Tensor new_data)
    {
        ReadOnlySpan<Argument> arguments = [self, new_data];
        if (!Invoke("aten::set_data"u8, "\0"u8, null, 0, arguments)) throw Failure("aten::set_data", arguments, null);
    }

    private static Tensor Attend(Tensor query, Tensor key, Tensor value, Tensor? mask, double dropout, bool causal, bool grouped)
    {
        long copies = grouped && key.dim() > 2 ? Math.Max(1, query.size(-3) / Math.Max(1, key.size(-3))) : 1;
        if (copies > 1) (key, value) = (key.repeat_interleave(copies, -3), value.repeat_interleave(copies, -3));
        return nn.functional.scaled_dot_product_attention(query, key, value, mask, dropout, causal);
    }

    // False where libtorch refuses. Names are literals, which end in a zero; an empty span would be null. The dispatcher owns the
    // arguments, whether it fails or not.
    private static bool Invoke(
        ReadOnlySpan<byte> name, ReadOnlySpan<byte> overload, ulong* results, int count, ReadOnlySpan<Argument> arguments)
    {
        ulong* stack = stackalloc ulong[Math.Max(arguments.Length, count)];
        Give(arguments, stack);
        int status;
        using (Quiet.Begin())
            fixed (byte* n = name, o = overload)
                status = CallDispatcher(n, o, stack, Abi);
        for (int i = 0; status == 0 && i < count; i++) results[i] = stack[i];
        return status == 0;
    }

    // Makes the handles of all arguments or, where one cannot be made, as that of a disposed tensor, of none.
    private static void Give(ReadOnlySpan<Argument> arguments, ulong* stack)
    {
        int given = 0;
        try
        {
            for (; given < arguments.Length; given++) stack[given] = arguments[given].Give();
        }
        catch
        {
            while (given-- > 0) arguments[given].Free(stack[given]);
            throw;
        }
    }

    // libtorch's reason for refusing a call. Before 2.13 the C ABI only logs it, so something similar is run through TorchSharp, whose
    // error carries it.
    private static TorchException Failure(string name, ReadOnlySpan<Argument> arguments, Action? alike)
    {
        string? message = LastMessage is not null ? Marshal.PtrToStringUTF8((nint)LastMessage()) : alike is null ? null : MessageOf(alike);
        return Refusal($"{name}({string.Join(", ", arguments.ToArray())})", message);
    }

    private static TorchException Refusal(string call, string? message)
    {
        message = message?.Split("\nException raised from", 2)[0].Trim();
        if (string.IsNullOrEmpty(message)) return new($"libtorch refused {call}.");
        return new($"{message} (in {call})", TorchErrors.SaysOutOfMemory(message));
    }

    private static string? MessageOf(Action alike)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable unrecorded = no_grad();
        try
        {
            alike();
            return null;
        }
        catch (Exception error)
        {
            return error.Message;
        }
    }

    private static Argument Optional(Tensor? tensor) => new(tensor is null ? Kind.None : Kind.OptionalTensor, tensor);

    private static Argument Optional(double? number) =>
        number is { } value ? new(Kind.OptionalNumber, null, BitConverter.DoubleToUInt64Bits(value)) : new(Kind.None, null);

    private static Argument Many(IReadOnlyList<Tensor> tensors) => new(Kind.Tensors, tensors);

    private static Argument Many(long[] numbers) => new(Kind.Integers, numbers);

    private enum Kind { None, Tensor, OptionalTensor, Tensors, Integers, Integer, Number, OptionalNumber, Truth }

    /// <summary>One argument as 64 bits; for anything but a number a handle that the dispatcher takes over.</summary>
    private readonly struct Argument(Kind kind, object? value, ulong bits = 0)
    {
        public static implicit operator Argument(Tensor tensor) => new(Kind.Tensor, tensor);

        public static implicit operator Argument(double number) => new(Kind.Number, null, BitConverter.DoubleToUInt64Bits(number));

        public static implicit operator Argument(long number) => new(Kind.Integer, null, (ulong)number);

        public static implicit operator Argument(bool truth) => new(Kind.Truth, null, truth ? 1UL : 0);

        public override string ToString() => (kind, value) switch
        {
            (_, Tensor tensor) => $"{tensor.dtype} {tensor.ShapeText} on {tensor.device}",
            (_, IReadOnlyList<Tensor> tensors) => $"{tensors.Count} tensors",
            (_, long[] numbers) => $"[{string.Join(", ", numbers)}]",
            (Kind.Number or Kind.OptionalNumber, _) => BitConverter.UInt64BitsToDouble(bits).ToString(CultureInfo.InvariantCulture),
            (Kind.Integer, _) => ((long)bits).ToString(CultureInfo.InvariantCulture),
            (Kind.Truth, _) => bits != 0 ? "True" : "False",
            _ => "None",
        };

        public ulong Give() => kind switch
        {
            Kind.Tensor => Share((Tensor)value!),
            Kind.OptionalTensor => Box(Share((Tensor)value!)),
            Kind.OptionalNumber => Box(bits),
            Kind.Tensors => List((IReadOnlyList<Tensor>)value!),
            Kind.Integers => List((long[])value!),
            Kind.None => 0,
            _ => bits,
        };

        /// <summary>Frees what <see cref="Give"/> made and no call took over.</summary>
        public void Free(ulong given)
        {
            switch (kind)
            {
                case Kind.Tensor:
                    _ = DeleteTensor((nint)given);
                    break;
                case Kind.OptionalTensor:
                    _ = DeleteTensor((nint)(*(ulong*)given));
                    NativeMemory.Free((void*)given);
                    break;
                case Kind.OptionalNumber:
                    NativeMemory.Free((void*)given);
                    break;
                case Kind.Tensors:
                    FreeTensors((nint)given, ((IReadOnlyList<Tensor>)value!).Count);
                    break;
                case Kind.Integers:
                    _ = DeleteList((nint)given);
                    break;
            }
        }

        private static ulong Share(Tensor tensor)
        {
            nint handle;
            Check(NewTensorHandle(tensor.Handle, &handle));
            GC.KeepAlive(tensor);
            return (ulong)handle;
        }

        // libtorch frees it with delete, which is free().
        private static ulong Box(ulong bits)
        {
            ulong* box = (ulong*)NativeMemory.Alloc(sizeof(ulong));
            *box = bits;
            return (ulong)box;
        }

        private static ulong List(IReadOnlyList<Tensor> tensors)
        {
            nint list;
            Check(NewList((nuint)tensors.Count, &list));
            int pushed = 0;
            try
            {
                for (; pushed < tensors.Count; pushed++) Check(ListPushBack(list, Share(tensors[pushed])));
            }
            catch
            {
                FreeTensors(list, pushed);
                throw;
            }
            return (ulong)list;
        }

        // A list does not own the tensors in it.
        private static void FreeTensors(nint list, int count)
        {
            for (int i = 0; i < count; i++)
            {
                ulong tensor;
                if (ListGetItem(list, (nuint)i, &tensor) == 0) _ = DeleteTensor((nint)tensor);
            }
            _ = DeleteList(list);
        }

        private static ulong List(long[] numbers)
        {
            nint list;
            Check(NewList((nuint)numbers.Length, &list));
            foreach (long number in numbers) Check(ListPushBack(list, (ulong)number));
            return (ulong)list;
        }

        private static void Check(int status)
        {
            if (status != 0) throw new TorchException("libtorch could not make a handle.", isOutOfMemory: true);
        }
    }

    /// <summary>Keeps libtorch from logging during a call.</summary>
    private readonly ref struct Quiet
    {
        public static Quiet Begin()
        {
            if (LogLevel is not null) *LogLevel = Fatal;
            return default;
        }

        public void Dispose()
        {
            if (LogLevel is not null) *LogLevel = InitialLogLevel;
        }
    }
}
