using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>A node of libtorch's autograd graph whose backward pass is C#, by the functions that LibTorchSharp exports for it.</summary>
internal sealed unsafe partial class AutogradNode
{
    // A callback carries no state, so each node in use has its own; they are pooled.
    private static readonly ConcurrentBag<AutogradNode> Idle = [];

    // What the last backward pass of this thread returned; by the next one libtorch has taken it over.
    [ThreadStatic] private static List<Tensor>? returned;
    private static int guards;
    private static ExceptionDispatchInfo? failure;

    private readonly ApplyCallback apply;
    private readonly DeleteCallback delete;
    private readonly nint applyPointer, deletePointer;
    private NodePointers pointers;
    private AutogradContext? context;
    private Func<AutogradContext, List<Tensor>, List<Tensor>>? backward;
    private bool[] takesGradient = [];
    private OutputShape[] outputs = [];
    private nint* results;
    private int capacity;

    private AutogradNode()
    {
        GCHandle.Alloc(this); // while it is in use, only libtorch knows it
        apply = RunBackward;
        delete = Delete;
        (applyPointer, deletePointer) = (Marshal.GetFunctionPointerForDelegate(apply), Marshal.GetFunctionPointerForDelegate(delete));
    }

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate TensorArray ApplyCallback(nint* gradients, int count);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate void DeleteCallback();

    /// <summary>Until disposed, a node that fails gives no gradients and <see cref="ThrowFailure"/> throws; otherwise libtorch reports
    /// missing gradients, which only <c>Tensor.backward</c> turns into an exception.</summary>
    internal static IDisposable Guard() => new Guarding();

    /// <summary>Throws what a node's backward pass threw since the last call.</summary>
    internal static void ThrowFailure() => Interlocked.Exchange(ref failure, null)?.Throw();

    /// <summary>Runs an operation unrecorded and puts a node behind its results. Gradients flow to arguments that are tensors, then to
    /// <paramref name="further"/> tensors, asked for after the operation; <paramref name="backward"/> gives null where there is
    /// none.</summary>
    public static List<Tensor> Apply(
        object?[] arguments, Func<AutogradContext, List<Tensor>> forward, Func<AutogradContext, List<Tensor>, List<Tensor>> backward,
        Func<IEnumerable<Tensor>>? further = null)
    {
        bool recording = is_grad_enabled();
        var needs = new bool[arguments.Length];
        for (int i = 0; recording && i < needs.Length; i++) needs[i] = arguments[i] is Tensor { requires_grad: true };
        AutogradContext context = new(needs);
        List<Tensor> results;
        using (no_grad()) results = forward(context);
        Tensor[] added = recording && further is not null ? [.. further()] : [];
        if (!context.Records && !added.Any(tensor => tensor.requires_grad))
        {
            context.Release();
            return results;
        }

        LibTorchLoader.RequireAutogradFunctions();
        AutogradNode node = Idle.TryTake(out AutogradNode? idle) ? idle : new();
        node.context = context;
        node.backward = backward;
        node.outputs = [.. results.Select(result => new OutputShape(result.shape, result.dtype, result.device))];
        node.takesGradient = [.. arguments.Select(argument => argument is Tensor), .. added.Select(_ => true)];
        return node.Attach([.. arguments.OfType<Tensor>(), .. added], results);
    }

    private List<Tensor> Attach(Tensor[] inputs, List<Tensor> results)
    {
        pointers = THSAutograd_CSharpNode_ctor(applyPointer, deletePointer);
        nint[] from = [.. inputs.Select(input => input.Handle)], to = [.. results.Select(result => result.Handle)];
        var wrapped = new nint[to.Length];
        fixed (nint* i = from, o = to, w = wrapped)
        {
            THSAutograd_CSharpNode_setNextEdges(pointers, new(i, from.Length), 1);
            THSAutograd_CSharpNode_clearInputMetadata(pointers);
            Allocation.Target = w;
            THSAutograd_Function_wrapOutputs(new(i, from.Length), default, default, new(o, to.Length), pointers, &Allocation.Give);
        }
        nint shared = pointers.Shared, weak = pointers.Weak;
        pointers = new(0, weak);
        THSAutograd_CSharpNode_disposeSharedPtr(new(shared, weak));
        torch.CheckForErrors();
        List<Tensor> all = [.. wrapped.Select(Tensor.UnsafeCreateTensor)];
        foreach (Tensor result in results) result.Dispose();
        GC.KeepAlive(inputs);
        return all;
    }

    private TensorArray RunBackward(nint* gradients, int count)
    {
        Free();
        using DisposeScope scope = NewDisposeScope();
        try
        {
            if (is_grad_enabled())
                throw new TorchException("there is no second derivative of an operation with a backward pass of its own");
            List<Tensor> given = new(count);
            for (int i = 0; i < count; i++)
                given.Add(gradients[i] == 0
                    ? zeros(outputs[i].Shape, outputs[i].Type, outputs[i].Device)
                    : Tensor.UnsafeCreateTensor(gradients[i]));
            if (context is null) throw new InvalidOperationException("This operation runs backwards once; what it kept is gone.");
            List<Tensor> made;
            CpuMemory.Sample();
            using (no_grad()) made = backward!(context, given);
            CpuMemory.Sample();
            Room(takesGradient.Length);
            int length = 0;
            Free(); // of nodes that ran within this one
            returned = [];
            for (int i = 0; i < takesGradient.Length; i++)
            {
                if (!takesGradient[i]) continue;
                if (made[i] is { } gradient) returned.Add(gradient.DetachFromDisposeScope());
                results[length++] = made[i]?.Handle ?? 0;
            }
            context.MoveSaved(returned); // a gradient may be one of them
            Release();
            return new(results, length);
        }
        catch (Exception error)
        {
            if (Volatile.Read(ref guards) == 0) return default;
            Interlocked.CompareExchange(ref failure, ExceptionDispatchInfo.Capture(error), null);
            int inputs = takesGradient.Count(takes => takes);
            Room(inputs);
            new Span<nint>(results, inputs).Clear();
            return new(results, inputs);
        }
    }

    private void Release()
    {
        context?.Release();
        (context, backward) = (null, null);
    }

    // Called when libtorch's node is gone.
    private void Delete()
    {
        Release();
        if (pointers.Weak != 0) THSAutograd_CSharpNode_disposeWeakPtr(pointers);
        pointers = default;
        Idle.Add(this);
    }

    private void Room(int count)
    {
        if (count <= capacity) return;
        results = (nint*)NativeMemory.Realloc(results, (nuint)(count * sizeof(nint)));
        capacity = count;
    }

    /// <summary>Frees what the last backward pass of this thread returned, once libtorch has taken it over.</summary>
    internal static void Free()
    {
        foreach (Tensor tensor in returned ?? []) tensor.Dispose();
        returned = null;
    }

    private sealed class Guarding : IDisposable
    {
        public Guarding() => Interlocked.Increment(ref guards);

        public void Dispose() => Interlocked.Decrement(ref guards);
    }

    [LibraryImport("LibTorchSharp")]
    private static partial NodePointers THSAutograd_CSharpNode_ctor(nint apply, nint delete);

    [LibraryImport("LibTorchSharp")]
    private static partial void THSAutograd_CSharpNode_disposeSharedPtr(NodePointers node);

    [LibraryImport("LibTorchSharp")]
    private static partial void THSAutograd_CSharpNode_disposeWeakPtr(NodePointers node);

    [LibraryImport("LibTorchSharp")]
    private static partial void THSAutograd_CSharpNode_setNextEdges(NodePointers node, TensorArray inputs, byte records);

    [LibraryImport("LibTorchSharp")]
    private static partial void THSAutograd_CSharpNode_clearInputMetadata(NodePointers node);

    [LibraryImport("LibTorchSharp")]
    private static partial void THSAutograd_Function_wrapOutputs(
        TensorArray inputs, TensorArray notDifferentiable, TensorArray dirty, TensorArray outputs, NodePointers node,
        delegate* unmanaged[Cdecl]<nint, nint*> allocate);

    private readonly record struct OutputShape(long[] Shape, ScalarType Type, Device Device);

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct NodePointers(nint shared, nint weak)
    {
        public readonly nint Shared = shared, Weak = weak;
    }

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct TensorArray(nint* tensors, long count)
    {
        public readonly nint* Tensors = tensors;
        public readonly long Count = count;
    }

    private static class Allocation
    {
        [ThreadStatic] public static nint* Target;

        [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
        public static nint* Give(nint length) => Target;
    }
}
