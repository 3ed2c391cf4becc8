using System.Text.Json;
using Trainer.Configuration;
using Trainer.Models.Attention;
using Trainer.Models.FeedForward;
using Trainer.Models.FeedForward.Experts;

namespace Trainer.Models.Tests.FeedForward.Experts;

public class ExpertsOptionsTests
{
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    [Fact]
    public void Every_name_of_the_contract_binds()
    {
        const string text = """
            { "type": "experts", "experts": 16, "active": 4, "shared": 1, "hiddenDim": 64, "bias": false, "activation": "geglu-tanh",
              "balance": { "type": "loss", "coefficient": 0.02, "over": "sequence" }, "routerZLoss": 0.002, "router": "sigmoid",
              "normalizeWeights": true, "scale": 2.5, "groups": 4, "activeGroups": 2 }
            """;
        FeedForwardOptions expected = new ExpertsOptions
        {
            Experts = 16,
            Active = 4,
            Shared = 1,
            HiddenDim = 64,
            Bias = false,
            Activation = ActivationKind.GeGluTanh,
            Balance = new LossBalanceOptions { Coefficient = 0.02, Over = BalanceScope.Sequence },
            RouterZLoss = 0.002,
            Router = RouterKind.Sigmoid,
            NormalizeWeights = true,
            Scale = 2.5,
            Groups = 4,
            ActiveGroups = 2,
        };
        Assert.Equal(expected, JsonSerializer.Deserialize<FeedForwardOptions>(text, Json));
        Assert.Equal(expected, JsonSerializer.Deserialize<FeedForwardOptions>(JsonSerializer.Serialize(expected, Json), Json));
    }

    [Theory]
    [InlineData("""{ "type": "bias", "rate": 0.01 }""", typeof(BiasBalanceOptions))]
    [InlineData("""{ "type": "none" }""", typeof(NoBalanceOptions))]
    public void Every_kind_of_balance_binds(string balance, Type expected)
    {
        var options = (ExpertsOptions)JsonSerializer.Deserialize<FeedForwardOptions>($$"""{ "type": "experts", "balance": {{balance}} }""", Json)!;
        Assert.IsType(expected, options.Balance);
        if (options.Balance is BiasBalanceOptions bias) Assert.Equal(0.01, bias.Rate);
    }

    [Fact]
    public void Sound_options_have_no_problems() => Assert.All(Models.FeedForwards.Values, options => Assert.Empty(options.Validate()));

    [Fact]
    public void No_more_can_be_active_than_there_are() =>
        Expect(new() { Experts = 4, Active = 5 }, "active: active (5) is more than the experts there are (4); use at most 4");

    [Fact]
    public void A_single_normalised_expert_would_cut_the_router_off() =>
        Expect(new() { Active = 1, NormalizeWeights = true },
            "normalizeWeights: with active 1 a normalised weight is always 1 and the router would learn nothing from the loss; use false");

    [Fact]
    public void Groups_divide_the_experts() =>
        Expect(new() { Experts = 8, Groups = 3 }, "groups: experts (8) must be a multiple of groups (3); try 1, 2, 4 or 8");

    [Fact]
    public void Active_groups_are_groups() =>
        Expect(new() { Experts = 8, Groups = 2, ActiveGroups = 3 },
            "activeGroups: activeGroups (3) is more than the groups there are (2); use at most 2");

    [Fact]
    public void Active_groups_hold_the_active_experts() =>
        Expect(new() { Experts = 8, Active = 3, Groups = 4 },
            "activeGroups: 1 of 4 groups hold 2 experts, fewer than active (3); use at least 2");

    [Fact]
    public void All_mistakes_are_reported_together() =>
        Assert.Equal(["active", "groups"], new ExpertsOptions { Experts = 8, Active = 9, Groups = 3 }.Validate()
            .Select(problem => problem.Path));

    [Fact]
    public void Mixtral_costs_what_is_known_of_it()
    {
        DecoderOptions mixtral = Models.Llama with
        {
            Dim = 4096,
            Layers = 32,
            ContextLength = 32768,
            Attention = new GroupedQueryOptions { Heads = 32, KeyValueHeads = 8 },
            FeedForward = new ExpertsOptions { Experts = 8, Active = 2, HiddenDim = 14336 },
        };
        ModelCost cost = ModelCost.Of(mixtral, 32000);
        Assert.Equal(46_702_792_704, cost.Parameters);
        Assert.Equal(12_879_925_248, cost.ActiveParameters);
        // A token's products: its active weights without the norms and without the table it is looked up in.
        Assert.Equal(12_879_925_248 - 65 * 4096 - 32000L * 4096, cost.MatrixParameters);
    }

    private static void Expect(ExpertsOptions options, string expected)
    {
        Problem problem = Assert.Single(options.Validate());
        Assert.Equal(expected, $"{problem.Path}: {problem.Message}");
    }
}
