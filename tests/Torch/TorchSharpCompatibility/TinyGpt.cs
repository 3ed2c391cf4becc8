// Written as for TorchSharp, against its names and signatures only: it has to compile there and here without a change.
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using F = TorchSharp.torch.nn.functional;

namespace Trainer.Torch.Tests.TorchSharpCompatibility;

internal sealed class CausalSelfAttention : Module<Tensor, Tensor>
{
    private readonly Linear c_attn;
    private readonly Linear c_proj;
    private readonly Dropout resid_dropout;
    private readonly long n_head;

    public CausalSelfAttention(long n_embd, long n_head, double dropout) : base(nameof(CausalSelfAttention))
    {
        this.n_head = n_head;
        c_attn = Linear(n_embd, 3 * n_embd, hasBias: false);
        c_proj = Linear(n_embd, n_embd, hasBias: false);
        resid_dropout = Dropout(dropout);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        var (B, T, C) = (x.size(0), x.size(1), x.size(2));
        var qkv = c_attn.call(x).split(C, dim: 2);
        var q = qkv[0].view(B, T, n_head, C / n_head).transpose(1, 2);
        var k = qkv[1].view(B, T, n_head, C / n_head).transpose(1, 2);
        var v = qkv[2].view(B, T, n_head, C / n_head).transpose(1, 2);
        var y = F.scaled_dot_product_attention(q, k, v, attn_mask: null, p: 0.0, is_casual: true);
        y = y.transpose(1, 2).contiguous().view(B, T, C);
        return resid_dropout.call(c_proj.call(y));
    }
}

internal sealed class Block : Module<Tensor, Tensor>
{
    private readonly LayerNorm ln_1;
    private readonly CausalSelfAttention attn;
    private readonly LayerNorm ln_2;
    private readonly ModuleList<Linear> mlp;

    public Block(long n_embd, long n_head, double dropout) : base(nameof(Block))
    {
        ln_1 = LayerNorm(n_embd, eps: 1e-5);
        attn = new CausalSelfAttention(n_embd, n_head, dropout);
        ln_2 = LayerNorm(new long[] { n_embd }, elementwise_affine: true, bias: false);
        mlp = ModuleList(Linear(n_embd, 4 * n_embd), Linear(4 * n_embd, n_embd));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        x = x + attn.call(ln_1.call(x));
        var hidden = F.gelu(mlp[0].call(ln_2.call(x)), inplace: false);
        return (x + F.dropout(mlp[1].call(hidden), p: 0.1, training: training)).MoveToOuterDisposeScope();
    }
}

internal sealed class TinyGpt : Module<Tensor, Tensor>
{
    private readonly Embedding wte;
    private readonly Embedding wpe;
    private readonly ModuleList<Block> h;
    private readonly LayerNorm ln_f;
    private readonly Linear lm_head;
    private readonly Tensor positions;

    public TinyGpt(long vocab_size, long block_size, int n_layer, long n_head, long n_embd, double dropout = 0.0) : base(nameof(TinyGpt))
    {
        wte = Embedding(vocab_size, n_embd);
        wpe = Embedding(num_embeddings: block_size, embedding_dims: n_embd);
        h = new ModuleList<Block>();
        for (var i = 0; i < n_layer; i++) h.Add(new Block(n_embd, n_head, dropout));
        ln_f = LayerNorm(n_embd);
        lm_head = Linear(n_embd, vocab_size, hasBias: false);
        lm_head.weight = wte.weight!;
        positions = arange(0, block_size, dtype: ScalarType.Int64);
        register_buffer(nameof(positions), positions, persistent: false);
        RegisterComponents();
        apply(module =>
        {
            if (module is Linear linear) init.normal_(linear.weight, mean: 0.0, std: 0.02);
            if (module is Embedding embedding) init.normal_(embedding.weight!, std: 0.02);
        });
    }

    public override Tensor forward(Tensor idx)
    {
        using var scope = NewDisposeScope();
        var x = wte.call(idx) + wpe.call(positions[..(int)idx.shape[1]]);
        foreach (var block in h) x = block.call(x);
        return lm_head.call(ln_f.call(x)).MoveToOuterDisposeScope();
    }

    public Tensor loss(Tensor idx, Tensor targets)
    {
        var logits = call(idx);
        return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index: -1, reduction: Reduction.Mean);
    }
}
