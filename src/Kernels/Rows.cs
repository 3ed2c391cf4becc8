using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Permutes rows of a tensor, as tokens go to experts and back.</summary>
public static class Rows
{
    /// <summary>Rows in another order, K copies of each: (N, …) → (N·K, …), where row i is row order[i] / K of x and inverse[order[i]] = i,
    /// both int64 (N·K). The backward pass gathers too, instead of scattering: the same bits every time, on any device.</summary>
    /// <exception cref="TorchException">The lengths do not agree.</exception>
    public static Tensor Gather(Tensor x, Tensor order, Tensor inverse, long copies = 1)
    {
        if (copies <= 0 || order.dim() != 1 || x.dim() == 0 || !order.shape.AsSpan().SequenceEqual(inverse.shape)
            || order.size(0) != x.size(0) * copies)
        {
            throw new TorchException(
                $"rows {x.ShapeText} times {copies} need an order and its inverse of that length, not " +
                $"{order.ShapeText} and {inverse.ShapeText}");
        }
        return GatherFunction.apply(x, new Permutation(order, inverse, copies));
    }

    private sealed record Permutation(Tensor Order, Tensor Inverse, long Copies);

    private sealed class GatherFunction : SingleTensorFunction<GatherFunction>
    {
        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            (Tensor order, Tensor inverse, long copies) = (Permutation)vars[1];
            ctx.save_for_backward([inverse]);
            ctx.save_data("copies", copies);
            if (copies == 1) return ((Tensor)vars[0]).index_select(0, order);
            using Tensor rows = order.div(copies, RoundingMode.floor);
            return ((Tensor)vars[0]).index_select(0, rows);
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
        {
            long copies = (long)ctx.get_data("copies")!;
            Tensor rows = grad_output.index_select(0, ctx.get_saved_variables()[0]);
            if (copies == 1) return [rows, null!];
            using (rows)
            using (Tensor each = rows.view([rows.size(0) / copies, copies, .. rows.shape.AsSpan(1)])) return [each.sum(1), null!];
        }
    }
}
