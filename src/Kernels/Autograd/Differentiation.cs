using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Gradients, throwing what backward passes in C# throw.</summary>
public static unsafe partial class Differentiation
{
    // THSAutograd_grad lets libtorch's errors end the process; TorchScript's calls make exceptions of them. The parser wants the last line.
    private const string Script = """
        def grad(outputs: List[Tensor], inputs: List[Tensor], gradients: List[Tensor]) -> List[Tensor]:
            given: List[Optional[Tensor]] = []
            for gradient in gradients:
                given.append(gradient)
            results: List[Tensor] = []
            for result in torch.grad(outputs, inputs, given, None, False, True):
                results.append(torch.zeros([0]) if result is None else result)
            return results

        """;

    private static readonly Lazy<jit.CompilationUnit> Compiled = new(() => jit.compile(Script));

    /// <summary>Adds the gradients of a scalar to the leaves it depends on (<c>Tensor.backward</c>).</summary>
    public static void Backward(Tensor scalar)
    {
        using (AutogradNode.Guard()) scalar.backward();
        AutogradNode.ThrowFailure();
    }

    /// <summary>The gradients of inputs (<c>torch.autograd.grad</c>), null where nothing depends on one; leaves are left alone. The
    /// gradients of outputs that are not scalars are given.</summary>
    public static Tensor?[] Grad(IReadOnlyList<Tensor> outputs, IReadOnlyList<Tensor> inputs, IReadOnlyList<Tensor>? gradients = null)
    {
        if (outputs.Any(output => output.is_cuda)) return GradOrThrow(outputs, inputs, gradients);
        nint[] from = Handles(outputs), to = Handles(inputs), given = Handles(gradients ?? []), made = new nint[inputs.Count];
        fixed (nint* f = from, t = to, g = given, m = made)
        {
            nint* outer = Result.Target; // a node may differentiate while it is differentiated
            using (AutogradNode.Guard())
            {
                Result.Target = m;
                THSAutograd_grad(f, from.Length, t, to.Length, g, given.Length, 0, 0, 1, &Result.Give);
            }
            Result.Target = outer;
        }

        GC.KeepAlive((outputs, inputs, gradients));
        Tensor?[] results = [.. made.Select(handle => handle == 0 ? null : Tensor.UnsafeCreateTensor(handle))];
        AutogradNode.ThrowFailure();
        return results;
    }

    /// <summary>As <see cref="Grad"/>, by way of TorchScript, which takes some tens of milliseconds at first: where memory may run out, as
    /// on a GPU, that is an exception.</summary>
    /// <exception cref="TorchException">libtorch refuses it, or lacks memory.</exception>
    internal static Tensor?[] GradOrThrow(IReadOnlyList<Tensor> outputs, IReadOnlyList<Tensor> inputs, IReadOnlyList<Tensor>? gradients)
    {
        Tensor[] made;
        try
        {
            using (AutogradNode.Guard())
                made = Compiled.Value.invoke<Tensor[]>("grad", outputs.ToArray(), inputs.ToArray(), (gradients ?? []).ToArray());
        }
        catch (ExternalException error)
        {
            AutogradNode.ThrowFailure();
            throw new TorchException(error.Message.Split("RuntimeError: ")[^1].Trim(), error.IsOutOfMemory);
        }

        GC.KeepAlive((outputs, gradients));
        Tensor?[] results = new Tensor?[inputs.Count];
        for (int i = 0; i < results.Length; i++)
        {
            if (made[i].shape.AsSpan().SequenceEqual(inputs[i].shape)) results[i] = made[i];
            else made[i].Dispose(); // nothing depends on this input
        }

        AutogradNode.ThrowFailure();
        return results;
    }

    /// <summary>Frees the gradients that this thread's last backward pass returned, as its next one would.</summary>
    public static void ReleaseGradients() => AutogradNode.Free();

    private static nint[] Handles(IReadOnlyList<Tensor> tensors) => [.. tensors.Select(tensor => tensor.Handle)];

    [LibraryImport("LibTorchSharp")]
    private static partial void THSAutograd_grad(
        nint* outputs, long outputCount, nint* inputs, long inputCount, nint* gradients, long gradientCount,
        byte retainGraph, byte createGraph, byte allowUnused, delegate* unmanaged[Cdecl]<nint, nint*> allocate);

    private static class Result
    {
        [ThreadStatic] public static nint* Target;

        [UnmanagedCallersOnly(CallConvs = [typeof(System.Runtime.CompilerServices.CallConvCdecl)])]
        public static nint* Give(nint length) => Target;
    }
}
