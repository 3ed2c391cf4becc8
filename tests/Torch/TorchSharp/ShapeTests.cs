using FsCheck.Fluent;
using static TorchSharp.torch;

namespace Trainer.Torch.Tests.TorchSharp;

public sealed class ShapeTests
{
    // 0 1 2
    // 3 4 5
    private static Tensor M => arange(6).view(2, 3);

    private static readonly Dictionary<string, Expectation> Table = new()
    {
        ["view"] = new(() => M.view(3, -1), [3, 2], [0, 1, 2, 3, 4, 5]),
        ["reshape"] = new(() => M.transpose(0, 1).reshape(6), [6], [0, 3, 1, 4, 2, 5]),
        ["transpose"] = new(() => transpose(M, 0, 1), [3, 2], [0, 3, 1, 4, 2, 5]),
        ["mT"] = new(() => M.mT, [3, 2], [0, 3, 1, 4, 2, 5]),
        ["permute"] = new(() => M.view(1, 2, 3).permute(2, 0, 1), [3, 1, 2], [0, 3, 1, 4, 2, 5]),
        ["expand"] = new(() => tensor([1L, 2L]).view(2, 1).expand(-1, 2), [2, 2], [1, 1, 2, 2]),
        ["repeat tiles"] = new(() => tensor([1L, 2L]).repeat(2), [4], [1, 2, 1, 2]),
        ["repeat_interleave repeats"] = new(() => tensor([1L, 2L]).repeat_interleave(2, 0), [4], [1, 1, 2, 2]),
        ["repeat_interleave all"] = new(() => M[0].repeat_interleave(2), [6], [0, 0, 1, 1, 2, 2]),
        ["flip"] = new(() => M.flip(1), [2, 3], [2, 1, 0, 5, 4, 3]),
        ["unsqueeze"] = new(() => M.unsqueeze(-1), [2, 3, 1], [0, 1, 2, 3, 4, 5]),
        ["squeeze"] = new(() => M.view(1, 2, 3, 1).squeeze(), [2, 3], [0, 1, 2, 3, 4, 5]),
        ["squeeze one"] = new(() => M.view(1, 2, 3, 1).squeeze(0), [2, 3, 1], [0, 1, 2, 3, 4, 5]),
        ["flatten"] = new(() => M.view(1, 2, 3).flatten(1), [1, 6], [0, 1, 2, 3, 4, 5]),
        ["narrow"] = new(() => M.narrow(1, 1, 2), [2, 2], [1, 2, 4, 5]),
        ["select"] = new(() => M.select(1, -1), [2], [2, 5]),
        ["slice"] = new(() => M.slice(1, 0, 3, 2), [2, 2], [0, 2, 3, 5]),
        ["index_select"] = new(() => M.index_select(1, tensor([2L, 0L])), [2, 2], [2, 0, 5, 3]),
        ["gather"] = new(() => M.gather(1, tensor([2L, 0L], [2, 1])), [2, 1], [2, 3]),
        ["scatter"] = new(() => M.scatter(1, tensor([2L, 0L], [2, 1]), tensor([-1L, -2L], [2, 1])), [2, 3], [0, 1, -1, -2, 4, 5]),
        ["roll"] = new(() => M.roll(1, 1), [2, 3], [2, 0, 1, 5, 3, 4]),
        ["complex product"] = new(() => (tensor([1f, 2f, 3f, 4f], [2, 2]).view_as_complex() * tensor([5f, 6f], [1, 2]).view_as_complex()).view_as_real(), [2, 2], [-7, 16, -9, 38]),
        ["tril"] = new(() => tril(ones(2, 3)), [2, 3], [1, 0, 0, 1, 1, 0]),
        ["triu above"] = new(() => triu(ones(2, 3), 1), [2, 3], [0, 1, 1, 0, 0, 1]),
        ["cat"] = new(() => cat([M, M.narrow(0, 0, 1)]), [3, 3], [0, 1, 2, 3, 4, 5, 0, 1, 2]),
        ["stack"] = new(() => stack([tensor([1L, 2L]), tensor([3L, 4L])], 1), [2, 2], [1, 3, 2, 4]),
        ["arange"] = new(() => arange(1, 8, 3), [3], [1, 4, 7]),
        ["arange real"] = new(() => arange(0.5, 2), [2], [0.5, 1.5]),
        ["linspace"] = new(() => linspace(0, 1, 5), [5], [0, 0.25, 0.5, 0.75, 1]),
        ["eye"] = new(() => eye(2, 3), [2, 3], [1, 0, 0, 0, 1, 0]),
        ["full"] = new(() => full([2], 2.5), [2], [2.5, 2.5]),
        ["empty matrix"] = new(() => zeros(3, 0), [3, 0], []),
        ["ones_like"] = new(() => ones_like(M), [2, 3], [1, 1, 1, 1, 1, 1]),
        ["one_hot"] = new(() => nn.functional.one_hot(tensor([1L, 0L]), 3), [2, 3], [0, 1, 0, 1, 0, 0]),
        ["index row"] = new(() => M[1], [3], [3, 4, 5]),
        ["index from end"] = new(() => M[^1, ^1], [], [5]),
        ["index negative"] = new(() => M[-2, 1], [], [1]),
        ["index range"] = new(() => M[.., 1..], [2, 2], [1, 2, 4, 5]),
        ["index range from end"] = new(() => M[0, ..^1], [2], [0, 1]),
        ["index step"] = new(() => M[TensorIndex.Colon, TensorIndex.Slice(0, null, 2)], [2, 2], [0, 2, 3, 5]),
        ["index ellipsis"] = new(() => M.view(1, 2, 3)[TensorIndex.Ellipsis, 0], [1, 2], [0, 3]),
        ["index new"] = new(() => M[TensorIndex.None, 0, TensorIndex.None], [1, 1, 3], [0, 1, 2]),
        ["index empty range"] = new(() => M[2..], [0, 3], []),
    };

    public static TheoryData<string> Names => [.. Table.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Shapes_and_values_are_those_worked_out_by_hand(string name) => Table[name].Check();

    [Fact]
    public void Views_share_memory_and_copies_do_not()
    {
        using var scope = NewDisposeScope();
        var m = M;
        foreach (var view in new[] { m.view(6), m.transpose(0, 1), m[0], m.narrow(0, 0, 1), m.detach(), m.alias(), m.contiguous() })
            Assert.True(view.SharesStorageWith(m));
        foreach (var copy in new[] { m.clone(), m.repeat(1, 1), m.transpose(0, 1).contiguous(), m.index_select(0, tensor([0L])) })
            Assert.False(copy.SharesStorageWith(m));
        Assert.Equal([3, 1], m.stride());
        Assert.Equal(0, m.storage_offset());
        Assert.Equal(4, m.narrow(0, 1, 1).narrow(1, 1, 2).storage_offset());
        Assert.False(m.transpose(0, 1).is_contiguous());
    }

    [Fact]
    public void Splitting_gives_views_that_join_to_the_whole()
    {
        using var scope = NewDisposeScope();
        var m = arange(10).view(2, 5);
        Assert.Equal([2L, 2L, 1L], m.split(2, dim: 1).Select(piece => piece.size(1)));
        Assert.Equal([1L, 4L], m.split([1, 4], dim: 1).Select(piece => piece.size(1)));
        Assert.Equal([2L, 2L, 1L], m.chunk(3, dim: -1).Select(piece => piece.size(-1)));
        Assert.Equal(5, m.unbind(1).Length);
        TensorAssert.SameBits(m, cat(m.split(2, dim: 1), dim: 1));
        TensorAssert.SameBits(m, stack(m.unbind(1), dim: 1));
        Assert.All(m.split(2, dim: 1), piece => Assert.True(piece.SharesStorageWith(m)));
    }

    [Fact]
    public void Ranks_beyond_the_inline_ones_have_their_shape_too()
    {
        using var tensor = zeros([1, 2, 1, 1, 1, 1, 1, 1, 1, 3]);
        Assert.Equal([1, 2, 1, 1, 1, 1, 1, 1, 1, 3], tensor.shape);
        Assert.Equal(10, tensor.stride().Length);
        Assert.Equal(10, tensor.dim());
    }

    [Fact]
    public void Too_many_indices_and_places_beyond_the_end_are_errors()
    {
        using var scope = NewDisposeScope();
        Assert.Equal("3 indices for a tensor of 2 dimensions. (Parameter 'indices')", Assert.Throws<ArgumentException>(() => M[0, 0, 0]).Message);
        Assert.Contains("index 2 out of range", Assert.Throws<TorchException>(() => M[2]).Message);
        Assert.Contains("^0 lies after the end; ^1 is the last one.", Assert.Throws<ArgumentOutOfRangeException>(() => M[^0]).Message);
    }

    [Fact]
    public void Ranges_mean_what_they_mean_for_arrays() =>
        FsCheck.Check.QuickThrowOnFailure(Prop.ForAll<byte, byte, byte>((length, first, second) =>
        {
            using var scope = NewDisposeScope();
            int count = length % 9, start = first % (count + 1), end = start + second % (count - start + 1);
            long[] array = [.. Enumerable.Range(0, count)];
            return arange(count)[start..end].data<long>().ToArray().SequenceEqual(array[start..end])
                && arange(count)[^(count - start)..end].data<long>().ToArray().SequenceEqual(array[start..end]);
        }));
}
