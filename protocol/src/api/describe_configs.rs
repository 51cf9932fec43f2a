//! DescribeConfigs: lists the settings of topics, brokers and other resources.
//!
//! | version | adds |
//! |---|---|
//! | 1 | synonyms and the source of each value, instead of a mark for defaults (KIP-226) |
//! | 3 | the type and the documentation of each setting (KIP-569) |
//! | 4 | flexible form |

crate::api! {
    /// Lists the settings of topics, brokers and other resources.
    DescribeConfigs = 32, versions 0..=4, flexible 4..;

    struct Request {
        resources: Vec<Resource>,
        include_synonyms: bool          [1..; must],
        include_documentation: bool     [3..; must],
    }
    struct Resource {
        /// 2 topic, 4 broker, 8 logger of a broker, 16 client metrics, 32 group.
        resource_type: i8,
        resource_name: Str,
        /// Null asks for all.
        configuration_keys: Option<Vec<Str>>,
    }

    struct Response {
        throttle_time_ms: i32,
        results: Vec<ResourceAnswer>,
    }
    struct ResourceAnswer {
        error_code: ErrorCode,
        error_message: Option<Str>,
        /// 2 topic, 4 broker, 8 logger of a broker, 16 client metrics, 32 group.
        resource_type: i8,
        resource_name: Str,
        configs: Vec<ConfigAnswer>,
    }
    struct ConfigAnswer {
        name: Str,
        /// Null where the value is a secret, or there is none.
        value: Option<Str>,
        read_only: bool,
        /// Whether nobody set it; later versions say where it comes from.
        is_default: bool                [..=0],
        /// 1 the topic, 2 this broker, 3 all brokers, 4 the configuration file, 5 default, 6
        /// logger, 7 client metrics, 8 group; -1 unknown.
        config_source: i8               [1..] = -1,
        is_sensitive: bool,
        /// Where the value could come from, the one in force first.
        synonyms: Vec<Synonym>          [1..],
        /// 1 boolean, 2 string, 3 int, 4 short, 5 long, 6 double, 7 list, 8 class, 9 password; 0
        /// unknown.
        config_type: i8                 [3..],
        documentation: Option<Str>      [3..],
    }
    struct Synonym {
        name: Str,
        value: Option<Str>,
        /// As `config_source`.
        source: i8,
    }
}
