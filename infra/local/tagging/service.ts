import { answerJson } from '../endpoint/json-service.ts';
import type { LocalKms } from '../kms/service.ts';
import { type Authorizer, type AwsRequest, type AwsResponse, NotImplementedLocally, type Service } from '../service.ts';

interface TagFilter {
  readonly Key: string;
  readonly Values?: readonly string[];
}

/**
 * The Resource Groups Tagging API, for keys: what finds one that has lost its alias.
 * https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
 */
export class LocalTagging implements Service {
  readonly #kms: LocalKms;
  readonly #authorizer: Authorizer;

  constructor(options: { kms: LocalKms; authorizer: Authorizer }) {
    this.#kms = options.kms;
    this.#authorizer = options.authorizer;
  }

  handle(request: AwsRequest): Promise<AwsResponse> {
    return answerJson(request, 'ResourceGroupsTaggingAPI_20170126.', 'the tagging API', {
      GetResources: {
        members: ['ResourceTypeFilters', 'TagFilters'],
        run: ({ ResourceTypeFilters, TagFilters = [] }, principal) => {
          this.#authorizer.authorize({ principal, action: 'tag:GetResources', resource: '*', context: {} });
          const types = [ResourceTypeFilters ?? []].flat();
          if (types.length !== 1 || types[0] !== 'kms:key') {
            throw new NotImplementedLocally(`GetResources of ${types.join(', ') || 'every type'}`);
          }
          const found = this.#kms.tagged().filter(({ tags }) =>
            (TagFilters as TagFilter[]).every(({ Key, Values = [] }) => {
              const value = tags.get(Key);
              return value !== undefined && (Values.length === 0 || Values.includes(value));
            }),
          );
          return {
            PaginationToken: '',
            ResourceTagMappingList: found.map(({ arn, tags }) => ({
              ResourceARN: arn,
              Tags: [...tags].map(([Key, Value]) => ({ Key, Value })),
            })),
          };
        },
      },
    });
  }
}
